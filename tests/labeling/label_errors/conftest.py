"""Tasks that several people ranked, and a reward model that was asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from labeling.label_errors import services
from labeling.people.models import User
from labeling.pipeline.models import Checkpoint
from labeling.rankings.models import Ranking
from tests.factories import make_batch, make_ranking, make_task


@pytest.fixture
def reward_model(db) -> Checkpoint:
    return Checkpoint.objects.create(name="rm-1", kind="reward", folder="/rm-1", weights_sha256="0" * 64)


@pytest.fixture
def colleagues(db) -> list[User]:
    return [User.objects.create(username=f"colleague-{number}", group="training") for number in range(4)]


@pytest.fixture
def ranked(colleagues) -> Callable[..., list[Ranking]]:
    """A maker of one task and its answers: `ranks` of each colleague, in the order in which completions were made."""

    def make(*ranks, people=None, **task) -> list[Ranking]:
        people = people or colleagues
        task.setdefault("texts", tuple(f"Text {number}." for number in range(len(ranks[0]))))
        made = make_task(batch=make_batch(overlap=len(ranks)), **task)
        return [make_ranking(task=made, labeler=each, ranks=list(of)) for each, of in zip(people, ranks, strict=False)]

    return make


def completions_of(ranking: Ranking) -> list:
    """In the order in which they were made."""
    return list(ranking.task.item.completions.order_by("created_at", "id").values_list("pk", flat=True))


def give_scores(checkpoint: Checkpoint, ranking: Ranking, scores: list[float]) -> None:
    """As if `checkpoint` had been asked about the completions of this answer's task."""
    services.take_model(checkpoint_id=checkpoint.pk)
    pairs = zip(completions_of(ranking), scores, strict=True)
    services.store_scores(checkpoint_id=checkpoint.pk, scores=pairs, refused=[])
    services.refresh_tasks([ranking.task_id])
