"""Two graders at one demonstration, two deciders about one applicant, applicants who begin at once."""

from __future__ import annotations

from functools import partial

import pytest
from django.db.models import QuerySet

from labeling.demos.models import Demonstration
from labeling.leasing import services as leasing
from labeling.leasing.models import Seat
from labeling.leasing.services import grant_lease
from labeling.people.models import User
from labeling.screening import services
from labeling.screening.models import Grade, ScreeningDecision
from tests import factories
from tests.labeling.screening.working import work_through
from tests.races.conftest import kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(amy):
    return factories.make_screening_round(actor=amy, items=1)


@pytest.fixture
def without_locks(monkeypatch):
    """Rows are read as before, and nobody waits for whoever reads them at the same moment."""
    monkeypatch.setattr(QuerySet, "select_for_update", lambda rows, **_: rows)


def researchers(count: int) -> list[User]:
    made = {"role": "researcher", "group": "researcher"}
    return [User.objects.create(username=f"researcher-{number}", **made) for number in range(count)]


def test_of_three_who_grade_at_once_two_do(held, amy):
    _application, person = factories.make_applicant(held, actor=amy)
    written = next(one for one in work_through(person) if isinstance(one, Demonstration))
    grades = [partial(services.grade, demonstration_id=written.pk, value=6, grader=one) for one in researchers(3)]
    results = together(*grades)
    assert [type(one) for one in results].count(services.GradedAlready) == 1
    assert sorted(Grade.objects.values_list("number", flat=True)) == [1, 2]


def test_one_grader_in_two_tabs_grades_once(held, amy):
    _application, person = factories.make_applicant(held, actor=amy)
    written = next(one for one in work_through(person) if isinstance(one, Demonstration))
    (rita,) = researchers(1)
    results = together(
        *(partial(services.grade, demonstration_id=written.pk, value=value, grader=rita) for value in (6, 7))
    )
    assert [type(one) for one in results].count(services.GradedAlready) == 1
    assert Grade.objects.count() == 1


def test_without_the_lock_a_second_grade_takes_the_number_of_the_first(held, amy, without_locks):
    """The index keeps it away, and the grader would read of a fault instead of giving the second grade."""
    _application, person = factories.make_applicant(held, actor=amy)
    written = next(one for one in work_through(person) if isinstance(one, Demonstration))
    one, other = researchers(2)
    grade = partial(services.grade.__wrapped__, demonstration_id=written.pk, value=6, grader=one)
    results = second_while_the_first_is_open(grade, partial(services.grade, **grade.keywords | {"grader": other}))
    assert kinds(results) == ["IntegrityError"]
    assert Grade.objects.get().grader == one


def test_of_two_who_decide_at_once_the_second_hears_of_the_first(held, amy):
    application, person = factories.make_applicant(held, actor=amy)
    other = User.objects.create(username="ann", role="admin", group="researcher")
    decide = partial(services.decide, application_id=application.pk, reason="Says why.")
    results = together(partial(decide, outcome="training", actor=amy), partial(decide, outcome="reject", actor=other))
    assert [type(one) for one in results].count(services.DecidedMeanwhile) == 1
    (decision,) = ScreeningDecision.objects.all()
    group = User.objects.get(pk=person.pk).group
    assert group == ("training" if decision.outcome == "training" else "applicant")


def test_without_the_lock_both_would_decide(held, amy, without_locks):
    """The index keeps the second away, which would not hear of the first."""
    application, person = factories.make_applicant(held, actor=amy)
    other = User.objects.create(username="ann", role="admin", group="researcher")
    decide = partial(services.decide.__wrapped__, application_id=application.pk, reason="Says why.")
    results = second_while_the_first_is_open(
        partial(decide, outcome="put_off", actor=amy),
        partial(services.decide, **decide.keywords, outcome="training", actor=other),
    )
    assert kinds(results) == ["IntegrityError"]
    assert ScreeningDecision.objects.get().outcome == "put_off"
    assert User.objects.get(pk=person.pk).group == "applicant"


def test_applicants_who_begin_at_once_get_a_seat_each(held, amy):
    people = [factories.make_applicant(held, actor=amy)[1] for _ in range(4)]
    leases = together(*(partial(grant_lease, labeler=person) for person in people))
    assert len({lease.seat_id for lease in leases}) == 4 and len({lease.task_id for lease in leases}) == 1
    assert Seat.objects.filter(groups=["applicant"], state="taken").count() == 4
    again = together(*(partial(grant_lease, labeler=people[0]) for _ in range(2)))
    assert {lease.pk for lease in again} == {leases[0].pk}


def test_without_the_lock_two_who_begin_make_the_same_seat(held, amy, without_locks):
    one, other = (factories.make_applicant(held, actor=amy)[1] for _ in range(2))
    results = second_while_the_first_is_open(
        partial(leasing._grant.__wrapped__, labeler=one, rng=None), partial(grant_lease, labeler=other)
    )
    assert kinds(results) == ["IntegrityError"]
    assert Seat.objects.get(groups=["applicant"]).leases.get().labeler == one
