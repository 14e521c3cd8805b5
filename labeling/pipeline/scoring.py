"""Ask the newest reward model about the completions of all answers: a worker's job, resumable, for label errors.

A model is asked about each completion once, some dozens in a request. Each answer is stored at once: what came before
a stop is not asked again.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.background import services as background
from labeling.background.models import Job
from labeling.label_errors import queries as label_errors
from labeling.label_errors import services
from labeling.label_errors.models import Suspicion
from labeling.pipeline.models import Checkpoint
from labeling.pipeline.services import SERVER_KEY
from labeling.rankings.models import Judgment
from labeling.refusals import Refusal, TryLater
from labeling.sampling.models import Completion

# Tasks whose answers are computed anew together, once their completions have scores.
TASKS = 40
ROWS = 32  # completions of one request
# After a look that failed or that somebody stopped, the next one that nobody asked for waits so long.
PATIENCE = timedelta(hours=1)


def newest_reward_model() -> Checkpoint | None:
    return Checkpoint.objects.filter(kind=Checkpoint.Kind.REWARD).order_by("-created_at", "-id").first()


def keep_up() -> Job | None:
    """A queued job where there is a reward model whose scores answers of people lack; for the scheduler."""
    model = newest_reward_model()
    if model is None:
        return None
    if label_errors.current_model_id() == model.pk and not label_errors.behind_model(simulated=False).exists():
        return None
    last = Job.objects.filter(kind=label_errors.JOB).order_by("-created_at").first()
    if last is not None and last.state in (Job.State.FAILED, Job.State.CANCELLED):
        waits = Job.objects.filter(pk=last.pk, finished_at__gt=Now() - PATIENCE).exists()
        if waits and last.created_at > model.created_at:
            return None
    return background.enqueue(kind=label_errors.JOB, arguments={"simulated": False}, key=label_errors.JOB)


def look_for_errors(*, job: Job, beat: Callable[..., None]) -> dict:
    """Read new answers, then ask the newest reward model about those that lack its scores; counts. Without a reward
    model, what colleagues say is all there is."""
    simulated = bool(job.arguments.get("simulated"))
    answers = services.refresh(beat=beat)
    model = newest_reward_model()
    if model is None:
        return {"answers": answers, "model": "", "scored": 0}
    scored = refused = 0
    before = Checkpoint.objects.filter(pk=label_errors.current_model_id()).exclude(pk=model.pk).first()
    services.take_model(checkpoint_id=model.pk)
    try:
        if label_errors.behind_model(simulated=simulated).exists():
            with reward_server(model, replaces=before) as (client, name):
                done, total = 0, label_errors.behind_model(simulated=simulated).count()
                beat(done=0, total=total, note="scoring")
                for tasks in _tasks_behind(simulated):
                    for asked in _requests(tasks, model):
                        said, not_said = ask(client, name, asked)
                        services.store_scores(checkpoint_id=model.pk, scores=said, refused=not_said)
                        scored, refused = scored + len(said), refused + len(not_said)
                        beat(done=min(done, total), note="scoring")
                    done += services.refresh_tasks(tasks)
                    beat(done=min(done, total), note="scoring")
    finally:
        services.count_answers()
    return {"answers": answers, "model": model.name, "scored": scored, "refused": refused}


def _tasks_behind(simulated: bool) -> Iterator[list[uuid.UUID]]:
    last = uuid.UUID(int=0)
    while True:
        rows = label_errors.behind_model(simulated=simulated).filter(task__gt=last).order_by("task")
        tasks = list(rows.values_list("task", flat=True).distinct()[:TASKS])
        if not tasks:
            return
        yield tasks
        last = tasks[-1]


def _requests(tasks: list[uuid.UUID], model: Checkpoint) -> Iterator[list[tuple[uuid.UUID, dict]]]:
    """What the model has not been asked of these tasks' answers, ROWS at a time: (completion, what to ask)."""
    ranked = Judgment.objects.filter(ranking__in=Suspicion.objects.filter(task__in=tasks).values("ranking"))
    completions = (
        Completion.objects.filter(pk__in=ranked.exclude(rank=None).values("completion"))
        .exclude(scores__checkpoint=model)
        .select_related("item__prompt")
        .order_by("item", "id")
    )
    rows = [(each.pk, {"messages": each.item.prompt.messages, "completion": each.text}) for each in completions]
    for start in range(0, len(rows), ROWS):
        yield rows[start : start + ROWS]


def ask(client, name: str, asked: list[tuple[uuid.UUID, dict]]) -> tuple[list, list]:
    """What the model said, and of which completions it would not: vLLM refuses all rows for one that is too long."""
    from models_service.client import ModelRefused, ModelUnavailable

    try:
        scores = client.score(name, [item for _pk, item in asked])
    except ModelUnavailable as error:
        raise TryLater(_("The reward model does not answer: {error}").format(error=error)) from None
    except ModelRefused as error:
        if error.status not in (400, 413, 422):
            raise Refusal(_("The model server would not score: {error}").format(error=error)) from None
        if len(asked) == 1:
            return [], [(asked[0][0], str(error) or "refused")]
        said, not_said = [], []
        for one in asked:
            more, less = ask(client, name, [one])
            said, not_said = said + more, not_said + less
        if not said and len({why for _pk, why in not_said}) == 1:
            # Not these completions are at fault: nothing is noted against them.
            raise Refusal(_("The model server would not score: {error}").format(error=error)) from None
        return said, not_said
    good = [(pk, score) for (pk, _item), score in zip(asked, scores, strict=True) if math.isfinite(score)]
    odd = [(pk, "no number") for (pk, _item), score in zip(asked, scores, strict=True) if not math.isfinite(score)]
    return good, odd


@contextmanager
def reward_server(model: Checkpoint, *, replaces: Checkpoint | None = None) -> Iterator[tuple]:
    """The client of a server that scores with `model`, and the name that it has there. Refusal where there is none.

    The embedded server takes the model in beside its others, in place of `replaces`. A vLLM server has one model, which
    is left alone: it must be this one, under REWARD_SERVER_URL.
    """
    from models_service.client import ModelClient, ModelRefused, ModelUnavailable

    with ModelClient(settings.REWARD_SERVER_URL, os.environ.get(SERVER_KEY)) as client:
        try:
            name = _serve(client, model, replaces)
        except ModelUnavailable as error:
            raise TryLater(_("The reward model's server does not answer: {error}").format(error=error)) from None
        except ModelRefused as error:
            words = _("The model server did not take {checkpoint}: {error}")
            raise Refusal(words.format(checkpoint=model.name, error=error)) from None
        yield client, name


def _serve(client, model: Checkpoint, replaces: Checkpoint | None) -> str:
    from models_service import publishing
    from models_service.client import ModelRefused

    url, key = settings.REWARD_SERVER_URL, os.environ.get(SERVER_KEY)
    folder = Path(model.folder).absolute()
    names = client.models()
    for name in names:
        if _folder_of(client, name) == str(folder):
            return name
    if any(client.owner(name) == "vllm" for name in names):
        raise Refusal(
            _(
                "The server at {url} runs another model than {model}; start one on {folder} and name it in "
                "REWARD_SERVER_URL."
            ).format(url=url, model=model.name, folder=folder)
        )
    served = publishing.publish(url, model.name, folder, api_key=key)
    if replaces is not None:
        with suppress(ModelRefused):  # it was not there any more
            publishing.withdraw(url, replaces.name, api_key=key)
    return served


def _folder_of(client, name: str) -> str:
    """The folder whose weights the server answers with under `name`; of vLLM, whose weights may have been exchanged
    since it was started, what it was told last."""
    from models_service.client import ModelRefused

    if client.owner(name) == "vllm":
        with suppress(ModelRefused):  # without its development routes nobody can have exchanged them
            told = client.call("GET", "/weight_info").get("weight_version")
            if isinstance(told, str) and told.startswith("/"):
                return told
    return client.root(name)
