"""Skipping, giving back, running out, closing batches."""

from __future__ import annotations

import pytest

from labeling.audit.models import AuditEvent
from labeling.leasing import services
from labeling.leasing.models import Lease, Seat
from labeling.leasing.services import LeaseEnded, expire_leases, grant_lease, return_lease, skip_lease
from labeling.refusals import Refusal
from tests import factories

pytestmark = pytest.mark.django_db


def test_skip_frees_the_seat_for_others_and_keeps_the_reason(ada, bo):
    factories.make_task()
    lease = skip_lease(lease_id=grant_lease(labeler=ada).pk, labeler=ada, reason="  I cannot read this  ")
    assert (lease.state, lease.seat, lease.skip_reason) == ("skipped", None, "  I cannot read this  ")
    assert grant_lease(labeler=ada) is None
    assert grant_lease(labeler=bo) is not None


def test_skipping_twice_keeps_the_first_reason(ada):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    skip_lease(lease_id=lease.pk, labeler=ada, reason="first")
    assert skip_lease(lease_id=lease.pk, labeler=ada, reason="second").skip_reason == "first"


def test_an_expired_task_can_be_skipped_without_touching_who_sits_there(ada, bo, pass_time):
    task = factories.make_task()
    lease = grant_lease(labeler=ada)
    pass_time(minutes=16)
    grant_lease(labeler=bo)
    skip_lease(lease_id=lease.pk, labeler=ada, reason="too late")
    assert task.seats.get().state == "taken"


@pytest.mark.parametrize("reason", ["", "   \n", None, 7, ["why"], "x" * 301])
def test_skip_needs_a_reason(ada, reason):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    with pytest.raises(Refusal):
        skip_lease(lease_id=lease.pk, labeler=ada, reason=reason)
    assert Lease.objects.get().state == "open"


def test_return_frees_the_seat_and_twice_is_once(ada, bo):
    factories.make_task()
    lease = grant_lease(labeler=ada)
    for _ in range(2):
        assert return_lease(lease_id=lease.pk, labeler=ada).state == "returned"
    assert grant_lease(labeler=bo) is not None


def test_what_was_answered_can_neither_be_skipped_nor_given_back(ada):
    task = factories.make_task()
    factories.make_ranking(task=task, labeler=ada)
    lease = Lease.objects.get()
    with pytest.raises(LeaseEnded):
        skip_lease(lease_id=lease.pk, labeler=ada, reason="oh")
    with pytest.raises(LeaseEnded):
        return_lease(lease_id=lease.pk, labeler=ada)
    assert task.seats.get().state == "filled"


def test_sweep_closes_all_that_ran_out_and_nothing_else(ada, bo, hal, pass_time, monkeypatch):
    monkeypatch.setattr(services, "EXPIRE_AT_ONCE", 1)
    factories.make_task(batch=factories.make_batch(overlap=3))
    for person in (ada, bo):
        grant_lease(labeler=person)
    pass_time(minutes=16)
    fresh = grant_lease(labeler=hal)
    assert expire_leases() == 1  # the grant had closed one
    assert expire_leases() == 0
    fresh.refresh_from_db()
    assert fresh.state == "open"
    assert sorted(Seat.objects.values_list("state", flat=True)) == ["free", "free", "taken"]


def test_sweep_job_reports_expired_leases(ada, pass_time, monkeypatch):
    from labeling import jobs

    # The test's own transaction lives on the connection that a worker would drop here.
    monkeypatch.setattr(jobs, "close_old_connections", lambda: None)
    factories.make_task()
    grant_lease(labeler=ada)
    pass_time(minutes=16)
    jobs.sweep()
    assert Lease.objects.get().state == "expired"


def test_closed_batch_offers_no_seat_and_lets_work_finish(ada, bo, amy):
    batch = factories.make_batch(overlap=2)
    factories.make_task(batch=batch)
    lease = grant_lease(labeler=ada)
    services.close_batch(batch=batch, actor=amy)
    assert batch.state == "closed"
    assert grant_lease(labeler=bo) is None
    assert grant_lease(labeler=ada).pk == lease.pk
    services.reopen_batch(batch=batch, actor=amy)
    assert grant_lease(labeler=bo) is not None
    assert list(AuditEvent.objects.order_by("id").values_list("action", "actor__username")) == [
        ("batch.closed", "amy"),
        ("batch.reopened", "amy"),
    ]


def test_priority_reaches_the_seats_at_once(ada):
    early, late = factories.make_batch(), factories.make_batch()
    factories.make_task(batch=early)
    urgent = factories.make_task(batch=late)
    services.set_priority(batch=late, priority=3, actor=None)
    assert grant_lease(labeler=ada).task == urgent


@pytest.mark.parametrize("priority", [None, "3", True, 1.5, 2**15, -(2**15) - 1])
def test_priority_is_a_small_whole_number(priority):
    with pytest.raises(Refusal):
        services.set_priority(batch=factories.make_batch(), priority=priority, actor=None)


def test_imported_batch_is_never_handed_out():
    with pytest.raises(Refusal, match="brought in"):
        services.reopen_batch(batch=factories.make_batch(imported=True), actor=None)
