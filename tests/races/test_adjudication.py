"""Several workers look at one task, and several people want its seats: each gets what there is once."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import transaction
from django.db.models import QuerySet

from labeling.adjudication import services
from labeling.adjudication.models import AdjudicationCase, AdjudicationTally, Assessment
from labeling.leasing import services as leasing
from labeling.leasing.adjudicating import withdraw_seats
from labeling.leasing.models import Lease, Seat
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.rankings.services import submit_ranking
from tests import factories
from tests.labeling.adjudication.test_services import answer_of, disagreed, rule
from tests.labeling.exports.test_comparisons import correct
from tests.races.conftest import PATIENCE, kinds, together, wait_until_blocked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def task(people):
    batch = factories.make_batch(overlap=2)
    return disagreed(batch, *people(2))


def researchers(count: int) -> list[User]:
    return [User.objects.create_user(f"r-{n}", role="researcher", group="researcher") for n in range(count)]


def test_workers_that_look_at_once_open_seats_once(task):
    rule(task.batch, "labelers", seats=2, most=20)
    for _ in range(3):
        done = together(*[partial(services.assess, tasks=[task.pk])] * 4)
        assert kinds(done) == []
        assert task.seats.count() == 4 and Assessment.objects.count() == 1
    assert AdjudicationCase.objects.get().opened == 2
    assert AdjudicationTally.objects.get().looked == 1


def test_without_the_lock_two_workers_clash_and_the_second_opens_nothing(task, monkeypatch):
    rule(task.batch, "labelers", seats=2, most=20)
    AdjudicationCase.objects.create(task=task, batch=task.batch)
    both, compare = threading.Barrier(2), services.disagreement_of

    def compare_together(opinions):
        both.wait(PATIENCE)
        return compare(opinions)

    monkeypatch.setattr(services, "disagreement_of", compare_together)
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)
    done = together(*[partial(services.assess, tasks=[task.pk])] * 2)
    # The net below: a look has its number, a seat too.
    assert kinds(done) == ["IntegrityError"]
    assert task.seats.count() == 4


def test_one_of_many_researchers_decides(task):
    rule(task.batch)
    services.look()
    given = together(*[partial(services.take_case, task_id=task.pk, researcher=each) for each in researchers(5)])
    assert kinds(given) == ["Conflict"] * 4
    assert Lease.objects.filter(adjudicates=True).count() == 1
    assert Seat.objects.get(adjudicates=True).state == "taken"


def test_one_researcher_in_two_tabs_has_one_lease(task):
    rule(task.batch)
    services.look()
    (rita,) = researchers(1)
    given = together(*[partial(services.take_case, task_id=task.pk, researcher=rita)] * 3)
    assert kinds(given) == [] and len({lease.pk for lease in given}) == 1


def test_seat_that_is_taken_is_not_withdrawn(task):
    rule(task.batch)
    services.look()
    (rita,) = researchers(1)
    correct(Ranking.objects.filter(task=task).order_by("created_at").last(), [1, 2, 3])
    given = together(
        partial(services.take_case, task_id=task.pk, researcher=rita), partial(services.assess, tasks=[task.pk])
    )
    left = Seat.objects.filter(adjudicates=True)
    # Either they sit and the seat is theirs, or they were told that nobody is asked any more.
    assert (kinds(given), [seat.state for seat in left]) in (([], ["taken"]), (["Conflict"], []))
    assert Lease.objects.filter(adjudicates=True).count() == left.count()


def test_withdrawing_passes_what_somebody_takes_this_moment(task):
    rule(task.batch)
    services.look()
    seat = Seat.objects.get(adjudicates=True)
    with transaction.atomic():
        Seat.objects.select_for_update(no_key=True).get(pk=seat.pk)
        assert together(lambda: _in_transaction(partial(withdraw_seats, [seat.pk]))) == [0]


def _in_transaction(function):
    with transaction.atomic():
        return function()


def test_decision_and_look_at_once_end_decided(task):
    rule(task.batch)
    services.look()
    (rita,) = researchers(1)
    lease = services.take_case(task_id=task.pk, researcher=rita)
    correct(Ranking.objects.filter(task=task).order_by("created_at").last(), [2, 1, 3])
    submit = partial(submit_ranking, lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    assert kinds(together(submit, partial(services.assess, tasks=[task.pk]))) == []
    services.look()
    case = AdjudicationCase.objects.get()
    assert case.state == "decided" and case.outcome.labeler == rita


def test_decision_waits_for_a_look_that_is_under_way(task):
    rule(task.batch)
    services.look()
    (rita,) = researchers(1)
    lease = services.take_case(task_id=task.pk, researcher=rita)
    results: list = []
    submit = partial(submit_ranking, lease_id=lease.pk, labeler=rita, answer=answer_of(lease), idempotency_key="k")
    thread = threading.Thread(target=lambda: results.extend(together(submit)))
    with transaction.atomic():
        AdjudicationCase.objects.select_for_update(no_key=True).get()
        thread.start()
        wait_until_blocked()
    thread.join(PATIENCE)
    assert kinds(results) == [] and AdjudicationCase.objects.get().state == "decided"


def test_more_seats_never_hold_one_labeler_twice_nor_more_than_are_asked(task, people):
    rule(task.batch, "labelers", seats=2, most=2)
    before = list(User.objects.order_by("pk"))
    more = [User.objects.create_user(f"more-{n}") for n in range(6)]
    services.look()
    given = together(*[partial(leasing.grant_lease, labeler=each) for each in (*before, *more)])
    assert kinds(given) == []
    held = Lease.objects.filter(task=task, state="open")
    assert held.count() == 2 and not held.filter(labeler__in=before).exists()
