"""Check sets with few words, and labelers who answer them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from labeling.checks import services
from labeling.checks.models import CheckSet
from labeling.leasing.models import CheckTurn
from labeling.people.models import TeamSettings
from labeling.rankings.models import Ranking
from tests import factories


@pytest.fixture
def make_set(rita, amy):
    """A set of `items` tasks that Rita ranked 1, 2, 3, 4, in a closed batch."""

    def make(*, items: int = 3, name: str = "Gold", groups=("training", "held_out", "simulated"), **extra) -> CheckSet:
        batch = factories.make_batch(groups=["researcher"], state="closed")
        for _ in range(items):
            factories.make_ranking(task=factories.make_task(batch=batch), labeler=rita)
        return services.make_set(name=name, batch=batch, groups=groups, actor=amy, **extra)

    return make


@pytest.fixture
def always(db):
    """Every task is a check, where one waits."""
    TeamSettings.objects.create(check_percent=100)


def answer_check(item, labeler, ranks, *, days_ago: int = 0, kind: str = "gold", task=None) -> Ranking:
    """A labeler's answer to a check, some days ago; not compared yet."""
    given = timezone.now() - timedelta(days=days_ago)
    task = task or item.task
    CheckTurn.objects.create(task=task, labeler=labeler, kind=kind, served_at=given)
    number = task.seats.count()
    task.seats.create(batch=task.batch, number=number, groups=[], state="free")
    return factories.make_ranking(task=task, labeler=labeler, ranks=ranks, created_at=given)


def copy_of(item, times: int):
    """The task in which `item` comes again."""
    with transaction.atomic():
        return services._copy_of(item.pk, times)


GOOD, BAD = [1, 2, 3, 4], [4, 3, 2, 1]
