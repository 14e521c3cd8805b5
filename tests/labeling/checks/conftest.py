"""Check sets with few words, and labelers who answer them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from labeling.checks import services
from labeling.checks.models import CheckSet
from labeling.forms.models import Form
from labeling.forms.queries import newest_version
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


def answer_check(
    item, labeler, ranks, *, days_ago: int = 0, kind: str = "gold", task=None, rating: int | None = None, flags=()
) -> Ranking:
    """A labeler's answer to a check, some days ago; not compared yet."""
    given = timezone.now() - timedelta(days=days_ago)
    task = task or item.task
    CheckTurn.objects.create(task=task, labeler=labeler, kind=kind, served_at=given)
    number = task.seats.count()
    task.seats.create(batch=task.batch, number=number, groups=[], state="free")
    if rating is not None:
        return rate(task, labeler, rating, flags, created_at=given)
    return factories.make_ranking(task=task, labeler=labeler, ranks=ranks, created_at=given)


@pytest.fixture
def make_likert_set(rita, amy):
    """A set of `items` single completions that Rita rated 5 and flagged as a hallucination, of the form "likert"."""

    def make(*, items: int = 3, name: str = "Likert", tolerance: int = 1, rating: int = 5) -> CheckSet:
        batch = factories.make_batch(groups=["researcher"], state="closed", form=Form.objects.get(name="likert"))
        for _ in range(items):
            rate(factories.make_task(batch=batch, texts=("Alone.",)), rita, rating, ["hallucination"])
        groups = ("training", "held_out")
        return services.make_set(name=name, batch=batch, groups=groups, tolerance=tolerance, actor=amy)

    return make


def rate(task, person, rating, flags=(), **extra) -> Ranking:
    """A rating of the one completion of a task."""
    version = newest_version(task.batch.form_id)
    return factories.make_ranking(
        task=task, labeler=person, ranks=[None], ratings=[rating], flags=[list(flags)], form_version=version, **extra
    )


def rate_check(item, labeler, rating, flags=("hallucination",), *, days_ago=0, kind="gold", task=None) -> Ranking:
    """`answer_check` of a single completion."""
    return answer_check(item, labeler, None, days_ago=days_ago, kind=kind, task=task, rating=rating, flags=flags)


def copy_of(item, times: int):
    """The task in which `item` comes again."""
    with transaction.atomic():
        return services._copy_of(item.pk, times)


GOOD, BAD = [1, 2, 3, 4], [4, 3, 2, 1]
