"""Answers of some tasks as arrays, those of one shape together."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from labeling.label_errors.models import CompletionScore
from labeling.label_errors.statistics import Evidence, evidence

# Newest revisions that put completions in an order. Answers of people are compared with people's alone.
ANSWERS = """
    SELECT ranking.task_id, ranking."group" = 'simulated', ranking.id,
        array_agg(judgment.completion_id ORDER BY judgment.completion_id),
        array_agg(judgment.rank ORDER BY judgment.completion_id)
    FROM labeling_ranking ranking JOIN labeling_judgment judgment ON judgment.ranking_id = ranking.id
    WHERE ranking.task_id = ANY (%s) AND ranking.outcome = 'ranked' AND judgment.rank IS NOT NULL
        AND ranking."group" <> 'applicant'
        AND NOT EXISTS (SELECT FROM labeling_ranking newer WHERE newer.replaces_id = ranking.id)
    GROUP BY ranking.id
"""


@dataclass(frozen=True)
class Group:
    """n tasks of one shape: their answers (n, L), completions (n, K), and what speaks against each answer."""

    tasks: list[uuid.UUID]
    simulated: list[bool]
    rankings: list[list[uuid.UUID]]
    completions: list[list[uuid.UUID]]
    # Whether the model was asked about all completions.
    scored: list[bool]
    evidence: Evidence


def groups_of(tasks: Iterable[uuid.UUID], *, checkpoint_id: Any) -> Iterator[Group]:
    """All answers to these tasks, with the scores of one model (None: of none)."""
    with connection.cursor() as cursor:
        cursor.execute(ANSWERS, [list(tasks)])
        rows = cursor.fetchall()
    units: dict[tuple, list] = defaultdict(list)
    for task, simulated, ranking, completions, ranks in rows:
        units[task, simulated].append((ranking, completions, ranks))
    shapes: dict[tuple[int, int], list] = defaultdict(list)
    for (task, simulated), answers in sorted(units.items()):
        seen = sorted({completion for _ranking, completions, _ranks in answers for completion in completions})
        shapes[len(answers), len(seen)].append((task, simulated, sorted(answers), seen))
    wanted = {completion for members in shapes.values() for unit in members for completion in unit[3]}
    found = scores_of(wanted, checkpoint_id=checkpoint_id)
    for (labelers, completions), members in shapes.items():
        ranks = np.zeros((len(members), labelers, completions), np.int16)
        scores = np.full((len(members), completions), np.nan)
        for number, (_task, _simulated, answers, seen) in enumerate(members):
            place = {completion: at for at, completion in enumerate(seen)}
            for row, (_ranking, judged, given) in enumerate(answers):
                for completion, rank in zip(judged, given, strict=True):
                    ranks[number, row, place[completion]] = rank
            scores[number] = [np.nan if found.get(each) is None else found[each] for each in seen]
        yield Group(
            tasks=[unit[0] for unit in members],
            simulated=[unit[1] for unit in members],
            rankings=[[ranking for ranking, _judged, _given in unit[2]] for unit in members],
            completions=[unit[3] for unit in members],
            scored=[checkpoint_id is not None and all(each in found for each in unit[3]) for unit in members],
            evidence=evidence(ranks, scores),
        )


def scores_of(completions: Iterable[uuid.UUID], *, checkpoint_id: Any) -> dict[uuid.UUID, float | None]:
    """What is stored of this model: a score, or None where it refused the completion."""
    if checkpoint_id is None:
        return {}
    rows = CompletionScore.objects.filter(checkpoint=checkpoint_id, completion__in=list(completions))
    return dict(rows.values_list("completion", "score"))
