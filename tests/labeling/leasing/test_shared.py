"""Tasks that everybody answers: as many seats as there are labelers, and more as people join."""

from __future__ import annotations

import pytest

from labeling.leasing.models import Task
from labeling.leasing.services import grant_lease, grow_shared, is_shared, open_tasks, skip_lease
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.models import BatchItem
from labeling.sampling.services import create_batch
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def open_batch(*, items: int, **extra):
    batch = factories.make_batch(**{"groups": ["training", "researcher"], "shared_percent": 20, **extra})
    for _ in range(items):
        task = factories.make_task(batch=batch)
        task.seats.all().delete()
        task.delete()
    open_tasks(batch=batch)
    return batch


def test_about_the_share_is_drawn_and_the_draw_stays():
    items = [BatchItem(pk=number, prompt_id=None) for number in range(5000)]
    drawn = [is_shared(item, 10) for item in items]
    assert drawn == [is_shared(item, 10) for item in items]
    assert 400 < sum(drawn) < 600
    assert not any(is_shared(item, 0) for item in items)


def test_a_shared_task_has_a_seat_for_each_labeler_and_grows_with_the_team(ada, bo, cy, hal, rita):
    batch = open_batch(items=40)
    shared = Task.objects.filter(batch=batch, shared=True)
    assert 1 <= shared.count() < 40
    for task in Task.objects.filter(batch=batch):
        # Ada and Bo: Cy is switched off, Hal is of another group, and Rita no labeler.
        assert task.seats.count() == (2 if task.shared else 1)
    assert grow_shared() == 0
    User.objects.create_user("dee", password=None, group="training")
    assert grow_shared() == shared.count()
    assert grow_shared() == 0
    assert list(shared.first().seats.order_by("number").values_list("groups", flat=True))[1:] == [["training"]] * 2
    people = list(User.objects.filter(is_active=True, group="training"))
    seen = {person: set() for person in people}
    for person in people:
        while lease := grant_lease(labeler=person):
            seen[person].add(lease.task_id)
            skip_lease(lease_id=lease.pk, labeler=person, reason="no")
    assert all(set(shared.values_list("pk", flat=True)) <= had for had in seen.values())


def test_a_closed_batch_grows_no_more(ada, bo):
    open_batch(items=40, state="closed")
    User.objects.create_user("dee", password=None, group="training")
    assert grow_shared() == 0


@pytest.mark.parametrize("asked", [{"shared_percent": 21}, {"shared_percent": -1}])
def test_no_more_than_a_fifth_is_shared(asked, amy):
    with pytest.raises(Refusal):
        create_batch(name="b", endpoints=[factories.make_endpoint()], k=4, created_by=amy, **asked)
