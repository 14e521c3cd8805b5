"""Suggestions under fire: two tabs ask at once, one stops what the worker writes."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import IntegrityError
from django.db.models.functions import Now

from labeling.background.models import Job
from labeling.demos import suggesting
from labeling.demos.models import Suggestion
from labeling.leasing import services
from labeling.leasing.models import Lease
from labeling.refusals import Conflict
from tests import factories
from tests.races.conftest import kinds, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lease(people) -> Lease:
    batch = factories.make_batch(kind="dialogue", suggestions=factories.make_endpoint())
    factories.make_task(batch=batch, texts=())
    return services.grant_lease(labeler=people(1)[0])


def ask(lease: Lease, *turns: str):
    given = factories.turns_of(turns)
    return suggesting.ask_for_suggestion(lease_id=lease.pk, labeler=lease.labeler, turns=given)


def test_eight_tabs_that_ask_for_the_same_get_one(lease):
    results = together(*[partial(ask, lease)] * 8)
    assert kinds(results) == []
    assert sorted(created for _, created in results) == [False] * 7 + [True]
    assert Suggestion.objects.count() == Job.objects.count() == 1


def test_of_eight_that_ask_for_different_ones_seven_are_refused(lease):
    results = together(*(partial(ask, lease, "Well.", f"turn {n}") for n in range(8)))
    assert kinds(results) == ["Conflict"] * 7
    assert Suggestion.objects.count() == 1


def test_without_the_lock_the_unique_index_still_lets_one_through(lease, monkeypatch):
    """The twin: what the lock on the lease prevents."""
    monkeypatch.setattr(suggesting, "lock_lease", services.get_own)
    results = together(*(partial(ask, lease, "Well.", f"turn {n}") for n in range(8)))
    assert {type(result) for result in results if isinstance(result, Exception)} <= {IntegrityError, Conflict}
    assert Suggestion.objects.count() == 1


def test_what_is_stopped_while_the_worker_writes_stays_stopped(lease):
    suggestion, _ = ask(lease)
    Suggestion.objects.update(state="writing", started_at=Now())
    this = Suggestion.objects.filter(pk=suggestion.pk)
    for _ in range(5):
        results = together(
            partial(suggesting.stop_suggestion, lease_id=lease.pk, labeler=lease.labeler, number=1),
            partial(this.filter(state="writing").update, text="so far"),
            partial(this.filter(state="writing").update, text="further"),
        )
        assert kinds(results) == []
    assert this.get().state == "stopped"
