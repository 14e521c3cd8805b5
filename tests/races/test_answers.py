"""Promises 1 and 2 under fire: one key stores one answer, late work is never lost, a seat is filled once."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from labeling.leasing import services
from labeling.leasing.models import Lease, Seat
from labeling.rankings import services as rankings
from labeling.rankings.models import Judgment, Ranking
from tests import factories
from tests.races.conftest import PATIENCE, kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


def answer_to(lease: Lease) -> dict:
    return {"completions": [{"id": shown, "rank": 1, "rating": 4} for shown in lease.order_shown]}


def submit(lease: Lease, key: str = "key"):
    return rankings.submit_ranking(
        lease_id=lease.pk, labeler=lease.labeler, answer=answer_to(lease), idempotency_key=key
    )


def run_out(*leases: Lease) -> None:
    Lease.objects.filter(pk__in=[lease.pk for lease in leases]).update(expires_at=timezone.now() - timedelta(hours=1))


def test_one_key_from_eight_threads_stores_one(people):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    results = together(*[partial(submit, lease)] * 8)
    assert kinds(results) == []
    assert sorted(created for _, created in results) == [False] * 7 + [True]
    assert len({ranking.pk for ranking, _ in results}) == 1
    assert (Ranking.objects.count(), Judgment.objects.count()) == (1, 4)


def test_eight_keys_from_eight_threads_store_one_and_refuse_seven(people):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    results = together(*(partial(submit, lease, f"key-{n}") for n in range(8)))
    assert kinds(results) == ["AnsweredAlready"] * 7
    assert Ranking.objects.count() == 1


def test_a_second_answer_waits_for_the_first_and_hears_of_it(people):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    (_, created), refused = second_while_the_first_is_open(partial(submit, lease), partial(submit, lease, "other"))
    assert created
    assert isinstance(refused, services.AnsweredAlready)
    assert Ranking.objects.count() == 1


def test_twin_of_the_one_statement_without_its_lock_hits_the_constraint(people, monkeypatch):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    monkeypatch.setattr(services, "SETTLE", services.SETTLE.replace("FOR NO KEY UPDATE", ""))
    results = second_while_the_first_is_open(partial(submit, lease), partial(submit, lease, "other"))
    assert kinds(results) == ["IntegrityError"]


def test_twin_without_the_lease_lock_hits_the_constraint(people, monkeypatch):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    read = threading.Barrier(2)
    checked = services._check_revision

    def slow(*arguments) -> None:  # both have seen that there is no answer yet
        checked(*arguments)
        read.wait(PATIENCE)

    def unlocked(*, lease_id, labeler) -> Lease:
        found = Lease.objects.select_related("task__item__prompt", "labeler").get(pk=lease_id)
        found.held_for = timedelta(0)
        return found

    monkeypatch.setattr(rankings, "first_answer", lambda *_, **__: None)
    monkeypatch.setattr(services, "_check_revision", slow)
    monkeypatch.setattr(rankings, "lock_lease", unlocked)
    assert kinds(together(*[partial(submit, lease)] * 2)) == ["IntegrityError"]


def test_answer_at_the_moment_of_expiry_keeps_its_seat(people):
    (ada,) = people(1)
    for _ in range(10):
        task = factories.make_task()
        lease = services.grant_lease(labeler=ada)
        run_out(lease)
        results = together(services.expire_leases, partial(submit, lease))
        assert kinds(results) == []
        lease.refresh_from_db()
        assert (lease.state, task.seats.get().state) == ("submitted", "filled")
        assert not results[1][0].surplus


def test_expiry_leaves_a_lease_alone_that_is_being_submitted(people):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    run_out(lease)
    with transaction.atomic():
        services.lock_lease(lease_id=lease.pk, labeler=lease.labeler)
        assert together(services.expire_leases) == [0]


def test_twin_expiring_what_was_read_before_frees_a_filled_seat(people):
    task = factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    run_out(lease)
    held = list(Lease.objects.filter(state="open", expires_at__lte=timezone.now()))  # no lock
    submit(lease)
    Lease.objects.filter(pk__in=[one.pk for one in held]).update(state="expired", seat=None)
    Seat.objects.filter(pk__in=[one.seat_id for one in held]).update(state="free")
    assert task.seats.get().state == "free"  # and a second labeler would do acknowledged work again


def late_pair(people) -> list[Lease]:
    """Two leases whose time ran out, at a task with one seat."""
    task = factories.make_task()
    staff = people(2)
    leases = []
    for person in staff:
        lease = services.grant_lease(labeler=person)
        run_out(lease)
        leases.append(lease)
        services.expire_leases()
    assert task.seats.get().state == "free"
    return leases


def test_two_late_answers_fill_one_seat(people):
    first, second = late_pair(people)
    results = together(partial(submit, first), partial(submit, second))
    assert kinds(results) == []
    assert sorted(ranking.surplus for ranking, _ in results) == [False, True]
    assert Seat.objects.get().state == "filled"


def test_twin_without_the_lock_for_late_answers_hits_the_index(people, monkeypatch):
    first, second = late_pair(people)
    read = threading.Barrier(2)

    def unlocked(lease: Lease) -> bool:
        lease.seat = Seat.objects.filter(task_id=lease.task_id, state="free").first()
        read.wait(PATIENCE)
        Seat.objects.filter(pk=lease.seat_id).update(state="filled")
        return True

    monkeypatch.setattr(services, "_fill_seat", unlocked)
    results = together(partial(submit, first), partial(submit, second))
    assert kinds(results) == ["IntegrityError"]


def test_late_answer_and_new_labeler_share_no_seat(people):
    from labeling.people.models import User

    (ada,) = people(1)
    bo = User.objects.create_user("bo", password="a long password")
    for _ in range(8):
        task = factories.make_task()
        lease = services.grant_lease(labeler=ada)
        run_out(lease)
        services.expire_leases()
        (ranking, _), granted = together(partial(submit, lease), partial(services.grant_lease, labeler=bo))
        seat = task.seats.get()
        assert (seat.state, ranking.surplus, granted is None) in {
            ("filled", False, True),
            ("taken", True, False),
        }
        if granted is not None:
            submit(granted, "bo")


def test_drafts_from_two_tabs_keep_the_newest(people):
    factories.make_task()
    lease = services.grant_lease(labeler=people(1)[0])
    save = partial(services.save_draft, lease_id=lease.pk, labeler=lease.labeler)
    assert kinds(together(*(partial(save, draft={"n": n}, version=n) for n in range(1, 9)))) == []
    lease.refresh_from_db()
    assert (lease.draft, lease.draft_version) == ({"n": 8}, 8)
    connection.close()
