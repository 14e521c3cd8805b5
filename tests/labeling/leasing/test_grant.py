from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from labeling.leasing.models import Lease, Seat
from labeling.leasing.services import grant_lease, return_lease, save_draft, skip_lease
from labeling.refusals import NotAllowed
from tests import factories

pytestmark = pytest.mark.django_db


def test_no_task_gives_no_lease(ada):
    assert grant_lease(labeler=ada) is None


def test_lease_holds_a_seat_for_the_set_time(ada, settings):
    settings.LEASE_SECONDS = 600
    task = factories.make_task()
    lease = grant_lease(labeler=ada)
    left = Lease.objects.annotate(left=F("expires_at") - Now()).get().left
    assert timedelta(seconds=590) < left <= timedelta(seconds=600)
    assert (lease.task, lease.state, task.seats.get().state) == (task, "open", "taken")


def test_higher_priority_first_then_older(ada, bo, hal):
    factories.make_task(batch=factories.make_batch(priority=0))
    urgent = factories.make_batch(priority=9)
    first, second = factories.make_task(batch=urgent), factories.make_task(batch=urgent)
    assert [grant_lease(labeler=person).task for person in (ada, bo)] == [first, second]


def test_groups_decide_who_is_offered_what(ada, hal, sim, rita):
    factories.make_task(batch=factories.make_batch(groups=["held_out", "simulated"], overlap=2))
    assert grant_lease(labeler=ada) is None
    assert grant_lease(labeler=rita) is None
    assert grant_lease(labeler=hal) is not None
    assert grant_lease(labeler=sim) is not None


def test_asking_again_gives_the_same_lease_with_its_full_time(ada, pass_time):
    factories.make_task()
    factories.make_task()
    lease = grant_lease(labeler=ada)
    pass_time(minutes=10)
    again = grant_lease(labeler=ada)
    assert again.pk == lease.pk
    assert again.expires_at > lease.expires_at - timedelta(minutes=1)


@pytest.mark.parametrize("ending", ["submitted", "skipped"])
def test_a_task_that_was_done_or_skipped_never_comes_back(ada, ending):
    task = factories.make_task(batch=factories.make_batch(overlap=3))
    if ending == "submitted":
        factories.make_ranking(task=task, labeler=ada)
    else:
        skip_lease(lease_id=grant_lease(labeler=ada).pk, labeler=ada, reason="not my subject")
    assert grant_lease(labeler=ada) is None
    assert task.seats.filter(state="free").exists()


def test_expired_seat_goes_to_the_next_labeler(ada, bo, pass_time):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    assert grant_lease(labeler=bo) is None
    pass_time(minutes=16)
    assert grant_lease(labeler=bo) is not None
    lease.refresh_from_db()
    assert (lease.state, lease.seat) == ("expired", None)
    assert lease.ended_at is not None


@pytest.mark.parametrize("ending", ["expired", "returned"])
def test_own_unfinished_work_comes_back_first_with_draft_and_order(ada, bo, pass_time, ending):
    task = factories.make_task()
    lease = grant_lease(labeler=ada)
    save_draft(lease_id=lease.pk, labeler=ada, draft={"half": "done"}, version=1)
    if ending == "expired":
        pass_time(minutes=16)
        grant_lease(labeler=bo)
        return_lease(lease_id=Lease.objects.get(labeler=bo).pk, labeler=bo)
    else:
        return_lease(lease_id=lease.pk, labeler=ada)
    factories.make_task(batch=factories.make_batch(priority=9))
    again = grant_lease(labeler=ada)
    assert (again.pk, again.state, again.draft) == (lease.pk, "open", {"half": "done"})
    assert again.order_shown == lease.order_shown
    assert Seat.objects.get(task=task).state == "taken"


def test_expired_lease_of_a_full_task_stays_closed(ada, bo, pass_time):
    factories.make_task()
    grant_lease(labeler=ada)
    pass_time(minutes=16)
    grant_lease(labeler=bo)
    assert grant_lease(labeler=ada) is None


def test_order_is_drawn_from_the_given_source_and_stored(ada, bo):
    task = factories.make_task(texts=[f"text {n}" for n in range(9)], batch=factories.make_batch(overlap=2))
    ids = sorted(str(pk) for pk in task.item.completions.values_list("id", flat=True))
    draw = random.Random(5).random
    keys = {shown: draw() for shown in ids}
    expected = sorted(ids, key=keys.get)
    lease = grant_lease(labeler=ada, rng=random.Random(5))
    assert Lease.objects.get(pk=lease.pk).order_shown == expected != ids
    assert grant_lease(labeler=bo, rng=random.Random(6)).order_shown != expected


def test_who_may_not_work_on_tasks_is_told_so(amy, cy):
    factories.make_task()
    with pytest.raises(NotAllowed, match="admin"):
        grant_lease(labeler=amy)
    with pytest.raises(NotAllowed, match="switched off"):
        grant_lease(labeler=cy)


def test_grant_reads_a_fixed_number_of_rows_however_much_waits(ada, django_assert_max_num_queries):
    batch = factories.make_batch(overlap=2)
    for _ in range(20):
        factories.make_task(batch=batch)
    # Two of them read the team's figures, which a process that serves keeps for a second.
    with django_assert_max_num_queries(5):
        grant_lease(labeler=ada)
