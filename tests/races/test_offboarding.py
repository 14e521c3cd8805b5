"""Somebody is offboarded at the moment in which they answer or take a task: all of it happens, or nothing."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import transaction

from labeling.demos.models import Demonstration
from labeling.demos.services import submit_demonstration
from labeling.leasing import services
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from labeling.rankings import services as rankings
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotAllowed
from labeling.team import services as team
from tests import factories
from tests.races.conftest import PATIENCE, kinds, together, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(db) -> User:
    return User.objects.create_user("amy", password=None, role="admin", group="researcher")


def submit(lease: Lease, labeler: User):
    answer = {"completions": [{"id": shown, "rank": 1, "rating": 4} for shown in lease.order_shown]}
    return rankings.submit_ranking(lease_id=lease.pk, labeler=labeler, answer=answer, idempotency_key="k")


def write(lease: Lease, labeler: User):
    return submit_demonstration(lease_id=lease.pk, labeler=labeler, answer={"text": "So."}, idempotency_key="k")


def offboard(person: User, admin: User) -> User:
    return team.offboard(user_id=person.pk, reason="Moves away.", actor=admin)


def stored_or_refused(lease: Lease, result: object) -> None:
    lease.refresh_from_db()
    seat = Seat.objects.get(task=lease.task_id)
    if isinstance(result, NotAllowed):
        assert (lease.state, seat.state, Ranking.objects.count(), Judgment.objects.count()) == (
            "returned",
            "free",
            0,
            0,
        )
    else:
        assert not isinstance(result, Exception), result
        assert (lease.state, seat.state, Ranking.objects.count(), Judgment.objects.count()) == (
            "submitted",
            "filled",
            1,
            4,
        )


@pytest.mark.parametrize("turn", range(8))
def test_an_answer_at_that_moment_is_stored_or_refused(people, admin, turn):
    factories.make_task()
    (ada,) = people(1)
    lease = services.grant_lease(labeler=ada)
    result, ended = together(partial(submit, lease, ada), partial(offboard, ada, admin))
    assert not isinstance(ended, Exception), ended
    stored_or_refused(lease, result)
    assert not Lease.objects.filter(labeler=ada, state__in=services.HELD).exists()


def while_offboarding(monkeypatch, person: User, admin: User, act) -> list:
    """What `act` and offboarding give, `act` begun once what the person held was given back and before the commit."""
    given_back, results = threading.Event(), []
    give_back_all = team.give_back_all

    def slowly(locked: User) -> list:
        held = give_back_all(locked)
        given_back.set()
        wait_until_blocked()
        return held

    monkeypatch.setattr(team, "give_back_all", slowly)

    def then():
        assert given_back.wait(PATIENCE)
        return act()

    results = together(then, partial(offboard, person, admin))
    assert not isinstance(results[1], Exception), results[1]
    return results


def test_an_answer_that_comes_in_the_midst_of_it_is_refused_whole(people, admin, monkeypatch):
    factories.make_task()
    (ada,) = people(1)
    lease = services.grant_lease(labeler=ada)
    refused, _ = while_offboarding(monkeypatch, ada, admin, partial(submit, lease, ada))
    assert isinstance(refused, NotAllowed)
    stored_or_refused(lease, refused)


def test_what_is_written_in_the_midst_of_it_is_refused_whole(people, admin, monkeypatch):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    (ada,) = people(1)
    lease = services.grant_lease(labeler=ada)
    refused, _ = while_offboarding(monkeypatch, ada, admin, partial(write, lease, ada))
    assert isinstance(refused, NotAllowed)
    assert not Demonstration.objects.exists()
    assert Seat.objects.get().state == "free"


def test_no_task_is_taken_in_the_midst_of_it(people, admin, monkeypatch):
    factories.make_task()
    (ada,) = people(1)
    refused, _ = while_offboarding(monkeypatch, ada, admin, partial(services.grant_lease, labeler=ada))
    assert isinstance(refused, NotAllowed) or refused is None
    assert not Lease.objects.exists()


def test_an_answer_under_way_is_waited_for(people, admin):
    factories.make_task(batch=factories.make_batch(kind="demonstration"), texts=())
    (ada,) = people(1)
    lease = services.grant_lease(labeler=ada)
    results: list = []
    thread = threading.Thread(target=lambda: results.extend(together(partial(offboard, ada, admin))))
    with transaction.atomic():
        services.lock_lease(lease_id=lease.pk, labeler=ada)
        thread.start()
        wait_until_blocked()
        # What an answer refers to its labeler by must not wait for who waits for it.
        place = services.settle_lease(
            lease=services.lock_lease(lease_id=lease.pk, labeler=ada),
            answers=Demonstration.objects.all(),
            idempotency_key="k",
            digest="0" * 64,
            head=services.Head(revision=None, replaces=None, active_seconds=1, reason=""),
        )
        Demonstration.objects.create(**place.fields, text="So.")
    thread.join(PATIENCE)
    assert kinds(results) == []
    lease.refresh_from_db()
    assert (lease.state, Demonstration.objects.count()) == ("submitted", 1)


def test_without_the_lock_on_the_person_a_task_slips_through(people, admin, monkeypatch):
    """The twin: what locking the person first prevents."""
    factories.make_task()
    (ada,) = people(1)
    monkeypatch.setattr(team.people, "lock_person", lambda user_id: User.objects.get(pk=user_id))
    give_back_all = team.give_back_all

    def then_a_grant(person: User) -> list:
        held = give_back_all(person)
        assert kinds(together(partial(services.grant_lease, labeler=ada))) == []
        return held

    monkeypatch.setattr(team, "give_back_all", then_a_grant)
    offboard(ada, admin)
    assert Lease.objects.get().state == "open"
