"""A task that is taken back for a look, while somebody takes a seat at it."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import transaction

from labeling.leasing import services
from labeling.leasing.models import Lease, Seat, Task
from labeling.sampling.marks import lock_terms
from tests import factories
from tests.races.conftest import kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


def take_back(task: Task) -> set[int]:
    with transaction.atomic():
        return services.take_back_tasks(items=[task.item_id])


def test_a_task_with_a_seat_being_taken_stays(people):
    task = factories.make_task(batch=factories.make_batch(overlap=2))
    (ada,) = people(1)
    with transaction.atomic():
        lease = services._take_next(ada, "open", None, None)
        assert together(partial(take_back, task)) == [set()]
    assert Lease.objects.get().pk == lease.pk
    assert Seat.objects.count() == 2


def test_nobody_gets_a_seat_of_a_task_being_taken_back(people):
    task = factories.make_task(batch=factories.make_batch(overlap=2))
    (ada,) = people(1)
    with transaction.atomic():
        assert services.take_back_tasks(items=[task.item_id]) == {task.item_id}
        assert together(partial(services.grant_lease, labeler=ada)) == [None]
    assert not Task.objects.exists()
    assert services.grant_lease(labeler=ada) is None


def test_a_new_term_waits_for_completions_being_stored(db):
    def alone() -> str:
        with transaction.atomic():
            lock_terms(alone=True)
        return "waited"

    # Fails where the second is not blocked while the first is open.
    results = second_while_the_first_is_open(lambda: lock_terms(alone=False), alone)
    assert kinds(results) == []
    assert results[1] == "waited"
