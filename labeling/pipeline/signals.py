"""What reward models say of prompts that have completions: how much they differ, and how unsure the newest is.

For strategies of `labeling.sampling.selecting`. A job: it asks the newest reward models about completions that they
have not scored, then computes each prompt's values from the scores. What is done is in rows; stopped, it goes on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection, transaction

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.label_errors.services import store_scores
from labeling.pipeline.models import Checkpoint
from labeling.pipeline.scoring import ROWS, ask, reward_server
from labeling.refusals import Refusal
from labeling.sampling.covering import group_prompts, store_signals
from labeling.sampling.models import Completion, PromptSignal
from labeling.sampling.queries import SIGNALS

MODELS = 3  # the newest reward models: an ensemble of checkpoints
CHUNK = 500  # prompts
Beat = Callable[..., None]


def start(*, actor) -> Job:
    """The job that computes all signals anew, or the one that does already."""
    with transaction.atomic(durable=True):
        job = background.enqueue(kind=SIGNALS, arguments={}, key=SIGNALS, created_by=actor)
        record(actor=actor, action="prompts.signals_asked", subject=job)
    return job


def compute(*, beat: Beat = lambda **_: None) -> dict[str, Any]:
    """The job behind `start`: groups of similar prompts, then what reward models say. Where a model's server does not
    answer, values come from the scores there are, and the result says so."""
    groups = group_prompts(beat=beat)
    models = list(Checkpoint.objects.filter(kind=Checkpoint.Kind.REWARD).order_by("-created_at", "-id")[:MODELS])
    scored, trouble = 0, []
    # The newest last: of all of them it alone stays served, for label errors.
    for model, before in zip(models[::-1], [None, *models[:0:-1]], strict=True):
        try:
            scored += _score(model, beat, replaces=before)
        except Refusal as refusal:
            trouble.append(refusal.message)
    known = _values(models, beat) if models else 0
    return {"groups": groups, "models": [each.name for each in models], "scored": scored, "known": known} | (
        {"trouble": trouble} if trouble else {}
    )


def _score(model: Checkpoint, beat: Beat, *, replaces: Checkpoint | None) -> int:
    """Ask `model` about the completions of accepted prompts that it has not scored."""
    unasked = Completion.objects.filter(item__prompt__state="accepted").exclude(scores__checkpoint=model)
    total = unasked.count()
    if not total:
        return 0
    done = 0
    with reward_server(model, replaces=replaces) as (client, name):
        for chunk in _chunks(unasked):
            said, refused = ask(client, name, chunk)
            store_scores(checkpoint_id=model.pk, scores=said, refused=refused)
            done += len(chunk)
            beat(done=done, total=total, note=f"scoring with {model.name}"[:300])
    return done


def _chunks(rows) -> Iterator[list[tuple[uuid.UUID, dict]]]:
    last = uuid.UUID(int=0)
    while True:
        found = list(rows.filter(pk__gt=last).select_related("item__prompt").order_by("pk")[:ROWS])
        if not found:
            return
        last = found[-1].pk
        yield [(each.pk, {"messages": each.item.prompt.messages, "completion": each.text}) for each in found]


# Of each pair of completions of one item, the probability p that each model gives to the first being better (Bradley
# and Terry 1952). Disagreement is four times the variance of p over models, uncertainty 4 p (1 - p) of the newest, both
# 0 to 1, and each the mean over a prompt's pairs.
VALUES = """
    WITH scored AS (
        SELECT item.prompt_id, completion.item_id, completion.id, said.checkpoint_id, said.score
        FROM labeling_batchitem item
        JOIN labeling_completion completion ON completion.item_id = item.id
        JOIN labeling_completionscore said ON said.completion_id = completion.id
        WHERE item.prompt_id = ANY(%(prompts)s) AND said.checkpoint_id = ANY(%(models)s) AND said.score IS NOT NULL
    ), pairs AS (
        SELECT one.prompt_id, one.id AS first, other.id AS second, one.checkpoint_id,
            1 / (1 + exp(greatest(-500, least(500, other.score - one.score)))) AS p
        FROM scored one JOIN scored other
            ON other.item_id = one.item_id AND other.checkpoint_id = one.checkpoint_id AND other.id > one.id
    ), each AS (
        SELECT prompt_id, count(*) AS models, 4 * var_pop(p) AS differ,
            max(4 * p * (1 - p)) FILTER (WHERE checkpoint_id = %(newest)s) AS unsure
        FROM pairs GROUP BY prompt_id, first, second
    )
    SELECT prompt_id, avg(differ) FILTER (WHERE models >= 2), avg(unsure) FROM each GROUP BY prompt_id
"""


def _values(models: list[Checkpoint], beat: Beat) -> int:
    kinds = (PromptSignal.Kind.DISAGREEMENT, PromptSignal.Kind.UNCERTAINTY)
    made_of = (", ".join(each.name for each in models), models[0].name)
    last, known = uuid.UUID(int=0), 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT prompt_id FROM labeling_batchitem WHERE prompt_id > %s ORDER BY 1 LIMIT %s",
                [last, CHUNK],
            )
            prompts = [pk for (pk,) in cursor.fetchall()]
            if not prompts:
                return known
            asked = {"prompts": prompts, "models": [each.pk for each in models], "newest": models[0].pk}
            cursor.execute(VALUES, asked)
            rows = cursor.fetchall()
        for at, (kind, words) in enumerate(zip(kinds, made_of, strict=True), start=1):
            values = [(row[0], min(1.0, max(0.0, row[at]))) for row in rows if row[at] is not None]
            store_signals(kind, values, made_of=words)
        last, known = prompts[-1], known + len(rows)
        beat(note="computing values")
