"""Promise 2 under fire: never more labelers than seats, never one labeler twice. Each guard has a twin without it."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.utils import timezone

from labeling.leasing import services
from labeling.leasing.gates import Paused
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from tests import factories
from tests.races.conftest import (
    PATIENCE,
    kinds,
    second_while_the_first_is_open,
    together,
    wait_until_blocked,
    without_index,
)

pytestmark = pytest.mark.django_db(transaction=True)


def grants(people: list) -> list:
    return together(*(partial(services.grant_lease, labeler=person) for person in people))


def test_labelers_never_outnumber_seats(people):
    batch = factories.make_batch(overlap=2)
    for _ in range(3):
        factories.make_task(batch=batch)
    granted = grants(people(8))
    assert kinds(granted) == []
    assert sum(lease is not None for lease in granted) == 6
    assert set(Counter(Lease.objects.values_list("task_id", flat=True)).values()) == {2}
    assert Seat.objects.filter(state="taken").count() == 6


def take(person: User, state: str = "open") -> Lease | None:
    return services._take_next(person, state, None, None)


def test_a_seat_that_is_being_taken_is_passed(people):
    for _ in range(2):
        factories.make_task()
    ada, bo = people(2)
    with transaction.atomic():
        mine = take(ada)
        (other,) = together(partial(take, bo))
    assert {mine.task_id, other.task_id} == set(Seat.objects.values_list("task", flat=True))


def test_twin_without_the_seat_lock_hits_the_index(people, monkeypatch):
    factories.make_task()
    ada, bo = people(2)
    monkeypatch.setattr(services, "TAKE_NEXT", services.TAKE_NEXT.replace(services.LOCK, ""))
    granted = second_while_the_first_is_open(partial(take, ada), partial(take, bo))
    assert kinds(granted) == ["IntegrityError"]
    assert "lease_one_open_per_seat" in str(granted[1])


def test_twin_without_lock_and_index_seats_two(people, monkeypatch):
    factories.make_task()
    ada, bo = people(2)
    monkeypatch.setattr(services, "TAKE_NEXT", services.TAKE_NEXT.replace(services.LOCK, ""))
    with without_index("lease_one_open_per_seat"):
        assert kinds(second_while_the_first_is_open(partial(take, ada), partial(take, bo))) == []
        assert Lease.objects.filter(state="open").count() == 2


# What a grant asks, held at a gate after its snapshot was taken and before it locks.
GATED = """
    WITH gate AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared(7))
    SELECT seat.id FROM gate, labeling_seat seat WHERE {free}
    ORDER BY seat.id LIMIT 1 FOR NO KEY UPDATE OF seat SKIP LOCKED
"""


def picked_after_a_grant(free: str, grant) -> int | None:
    """The seat that a statement picks which began before `grant` committed and locks after it."""

    def pick() -> int | None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(GATED.format(free=free))
            row = cursor.fetchone()
            return row[0] if row else None

    def grant_meanwhile() -> None:
        wait_until_blocked()
        grant()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(7)")

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(7)")
    picked = []
    thread = threading.Thread(target=lambda: picked.append(_and_close(pick)))
    thread.start()
    grant_meanwhile()
    thread.join(PATIENCE)
    return picked[0]


def _and_close(function):
    try:
        return function()
    finally:
        connection.close()


def test_seat_state_is_looked_at_again_under_the_lock(people):
    factories.make_task()
    (ada,) = people(1)
    assert picked_after_a_grant("seat.state = 'free'", lambda: services.grant_lease(labeler=ada)) is None


def test_twin_with_free_as_no_open_lease_gives_the_seat_away_twice(people):
    task = factories.make_task()
    (ada,) = people(1)
    seat = task.seats.get()

    def grant() -> None:  # locks the seat and inserts a lease, and leaves the seat's row as it is
        with transaction.atomic():
            Seat.objects.select_for_update().get(pk=seat.pk)
            end = timezone.now() + timedelta(minutes=15)
            Lease.objects.create(task=task, seat=seat, labeler=ada, expires_at=end)

    free = "NOT EXISTS (SELECT 1 FROM labeling_lease held WHERE held.seat_id = seat.id AND held.state = 'open')"
    assert picked_after_a_grant(free, grant) == seat.pk


def test_two_tabs_get_one_lease(people):
    for _ in range(3):
        factories.make_task()
    (ada,) = people(1)
    granted = grants([ada] * 8)
    assert kinds(granted) == []
    assert len({lease.pk for lease in granted}) == 1
    assert Lease.objects.count() == 1


@pytest.mark.parametrize("state", ["open", "ahead"])
def test_twin_without_the_labeler_lock_hits_the_index(people, monkeypatch, state):
    for _ in range(2):
        factories.make_task()
    (ada,) = people(1)
    monkeypatch.setattr(services, "TAKE_NEXT", services.TAKE_NEXT.replace("FOR NO KEY UPDATE OF person", ""))
    granted = second_while_the_first_is_open(*[partial(take, ada, state)] * 2)
    assert kinds(granted) == ["IntegrityError"]
    assert f"lease_one_{state}_per_labeler" in str(granted[1])


def test_somebody_who_is_being_paused_is_given_nothing(people):
    factories.make_task()
    (ada,) = people(1)
    pause = partial(User.objects.filter(pk=ada.pk).update, paused_at=timezone.now(), pause_reason="talk to me")
    _, granted = second_while_the_first_is_open(pause, partial(services.grant_lease, labeler=ada))
    assert isinstance(granted, Paused)
    assert not Lease.objects.exists()


def test_labelers_whose_time_ran_out_do_not_wait_for_each_other(people):
    staff = people(4)
    task = factories.make_task(batch=factories.make_batch(overlap=4))
    for person in staff:
        services.grant_lease(labeler=person)
    for _ in range(8):
        Lease.objects.update(expires_at=timezone.now() - timedelta(hours=1))
        granted = grants(staff)
        assert kinds(granted) == []
        assert all(granted)
    assert Lease.objects.filter(state="open").count() == task.seats.filter(state="taken").count() == 4


def test_closing_a_batch_while_labelers_start_takes_no_seat_from_who_has_one(people, transactional_db):
    batch = factories.make_batch(overlap=3)
    factories.make_task(batch=batch)
    results = together(
        *(partial(services.grant_lease, labeler=person) for person in people(3)),
        lambda: services.close_batch(batch=batch, actor=None),
    )
    assert kinds(results) == []
    assert services.grant_lease(labeler=User.objects.create_user("late")) is None
    assert Lease.objects.filter(state="open").count() == Seat.objects.filter(state="taken").count()


def test_two_tabs_fetch_one_task_ahead(people):
    for _ in range(4):
        factories.make_task()
    (ada,) = people(1)
    services.grant_lease(labeler=ada)
    fetched = together(*[partial(services.fetch_ahead, labeler=ada)] * 6)
    assert kinds(fetched) == []
    assert len({lease.pk for lease in fetched}) == 1
    assert Seat.objects.filter(state="taken").count() == 2


def test_fetching_ahead_and_granting_share_no_seat(people):
    for _ in range(8):
        batch = factories.make_batch(overlap=1)
        for _ in range(2):
            factories.make_task(batch=batch)
    staff = people(4)
    granted = grants(staff)
    fetched = together(*(partial(services.fetch_ahead, labeler=person) for person in staff * 2))
    assert kinds(granted + fetched) == []
    assert set(Counter(Lease.objects.values_list("seat", flat=True)).values()) == {1}
    assert Lease.objects.count() == Seat.objects.filter(state="taken").count() == 8


def test_beginning_at_the_moment_it_goes_back_ends_in_one_of_both(people):
    ada, bo = people(2)
    for _ in range(8):
        task = factories.make_task(batch=factories.make_batch(priority=1))
        ahead = factories.make_lease(task=task, labeler=ada, state="ahead")
        Lease.objects.update(expires_at=timezone.now() - timedelta(hours=1))
        begun, granted = together(
            partial(services.renew_lease, lease_id=ahead.pk, labeler=ada), partial(services.grant_lease, labeler=bo)
        )
        assert set(kinds([begun, granted])) <= {"LeaseExpired"}
        held = list(Lease.objects.filter(task=task, state="open").values_list("labeler", flat=True))
        assert len(held) == 1
        assert task.seats.get().state == "taken"
        Lease.objects.filter(state="open").update(state="skipped", seat=None)


def test_one_that_is_being_given_back_is_not_begun(people):
    factories.make_task()
    factories.make_task()
    (ada,) = people(1)
    opened = services.grant_lease(labeler=ada)
    ahead = services.fetch_ahead(labeler=ada)
    services.skip_lease(lease_id=opened.pk, labeler=ada, reason="no")

    def give_back() -> None:
        lease = services.lock_lease(lease_id=ahead.pk, labeler=ada)
        services.leave(lease, "returned")

    _, granted = second_while_the_first_is_open(give_back, partial(services.grant_lease, labeler=ada))
    assert (granted.pk, granted.state, granted.seat.state) == (ahead.pk, "open", "taken")
    assert Lease.objects.filter(state__in=["open", "ahead"]).count() == Seat.objects.filter(state="taken").count() == 1
