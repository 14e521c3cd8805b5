"""Two who enter at once: the scheduler's job twice, one acceptance twice, one payment twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from labeling.pay import services
from labeling.pay.models import LedgerEntry, PayDay
from labeling.people.models import User
from labeling.refusals import Conflict
from tests import factories
from tests.races.conftest import second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def admin(db) -> User:
    return User.objects.create_user("amy", password=None, role="admin", group="researcher")


@pytest.fixture
def paid(people, admin) -> list[User]:
    """Three who worked yesterday, with a rate."""
    yesterday = timezone.now() - timedelta(days=1)
    found = people(3)
    for person in found:
        services.set_rate(user_id=person.pk, valid_from=yesterday.date(), per_hour=3600, actor=admin)
        factories.make_work(labeler=person, at=yesterday, seconds=600)
    return found


def entered(**where) -> list[tuple]:
    rows = LedgerEntry.objects.filter(**where).order_by("person", "id")
    return list(rows.values_list("person", "number", "seconds", "amount"))


def test_the_job_run_twice_at_once_makes_one_entry_a_day(paid):
    results = together(services.enter_time, services.enter_time, services.enter_time)
    assert not [result for result in results if isinstance(result, Exception)]
    assert entered() == [(person.pk, 1, 600, 600) for person in paid]
    assert sum(result["entries"] for result in results) == 3
    days = list(PayDay.objects.values_list("day", flat=True))
    assert len(days) == len(set(days))


def test_without_the_lock_the_index_keeps_one_entry_a_day(paid, monkeypatch):
    """Two that have computed the same: the second waits for the first at the index, and enters nothing."""
    services.close_days()
    monkeypatch.setattr(services, "_lock", lambda: None)
    day = PayDay.objects.earliest("day").day
    enter = lambda: services._enter(since=day, until=day)  # noqa: E731
    second_while_the_first_is_open(enter, enter)
    assert entered() == [(person.pk, 1, 600, 600) for person in paid]


def test_without_the_lock_and_the_index_time_is_entered_twice(paid, monkeypatch):
    """The twin of both: what the two keep away."""
    services.close_days()
    monkeypatch.setattr(services, "_lock", lambda: None)
    day = PayDay.objects.earliest("day").day
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'ledger_time_once_per_day'")
        (definition,) = cursor.fetchone()
        cursor.execute("DROP INDEX ledger_time_once_per_day")
    try:
        with transaction.atomic():
            services._enter(since=day, until=day)
            together(lambda: services._enter(since=day, until=day))
        assert len(entered()) == 6
    finally:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE labeling_ledgerentry CASCADE")
            cursor.execute(definition)


def test_a_correction_accepted_twice_at_once_is_entered_once(paid, admin):
    person, *_ = paid
    asked = services.ask(person=person, text="A call.", minutes=10, day=timezone.now().date())
    accept = lambda: services.accept(request_id=asked.pk, reason="Yes.", seconds=600, actor=admin)  # noqa: E731
    results = together(accept, accept, accept)
    assert [type(result).__name__ for result in results] == ["PayRequest"] * 3
    assert entered(kind="correction") == [(person.pk, None, 600, 600)]


def test_of_accepting_and_declining_at_once_one_holds(paid, admin):
    person, *_ = paid
    asked = services.ask(person=person, text="A call.", minutes=10, day=timezone.now().date())
    results = together(
        lambda: services.accept(request_id=asked.pk, reason="Yes.", seconds=600, actor=admin),
        lambda: services.decline(request_id=asked.pk, reason="No.", actor=admin),
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [Conflict]
    asked.refresh_from_db()
    assert (asked.state == "accepted") == LedgerEntry.objects.filter(kind="correction").exists()


def test_a_payment_and_a_correction_sent_twice_at_once_are_entered_once(paid, admin):
    person, *_ = paid
    day = timezone.now().date()
    period = {"period_from": day, "period_until": day, "paid_on": day}
    asked = {"user_id": person.pk, "actor": admin}
    pay = lambda: services.enter_payment(**asked, **period, amount=100, reference="MAY")  # noqa: E731
    correct = lambda: services.correct(**asked, day=day, seconds=60, reason="A call.", key="k")  # noqa: E731
    results = together(pay, pay, correct, correct)
    assert not [result for result in results if isinstance(result, Exception)]
    assert (
        LedgerEntry.objects.filter(kind="payment").count() == LedgerEntry.objects.filter(kind="correction").count() == 1
    )


def test_time_and_a_rate_entered_at_once_leave_no_time_without_amount(paid, admin):
    """The job may compute without the rate: who sets it waits for the job, and gives the time its amount."""
    person = User.objects.create_user("late", password="a long password")
    yesterday = timezone.now() - timedelta(days=1)
    factories.make_work(labeler=person, at=yesterday, seconds=600)
    rate = {"user_id": person.pk, "valid_from": yesterday.date(), "per_hour": 3600, "actor": admin}
    results = together(services.enter_time, lambda: services.set_rate(**rate))
    assert not [result for result in results if isinstance(result, Exception)]
    assert sum(amount for *_, amount in entered(person=person)) == 600
