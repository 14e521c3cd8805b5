"""The ledger: what a day comes to, what a rate makes of it, and that nothing entered ever changes."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pgtrigger
import pytest
from celery import current_app
from django.db.models import Sum
from django.utils import timezone

from labeling import jobs
from labeling.audit.models import AuditEvent
from labeling.leasing.models import Lease
from labeling.management import content
from labeling.pay import queries, services
from labeling.pay.models import LedgerEntry, PayDay, PayRate, PayRequest
from labeling.pay.money import amount_of, per_hour_of, plain, read_amount, say
from labeling.people.models import TeamSettings, User
from labeling.rankings.models import Ranking
from labeling.refusals import Conflict, NotFound, Refusal, TooMany
from tests.factories import make_ranking, make_task, make_work

pytestmark = pytest.mark.django_db

TODAY = timezone.now().date()


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def noon(days: int) -> datetime:
    return datetime.combine(ago(days), datetime.min.time(), tzinfo=ZoneInfo("UTC")) + timedelta(hours=12)


def entries_of(person: User, **where) -> list[tuple]:
    rows = LedgerEntry.objects.filter(person=person, **where).order_by("day", "id")
    return [(entry.day, entry.kind, entry.seconds, entry.priced, entry.amount) for entry in rows]


def rate(person: User, amy: User, per_hour: int | None, days: int = 10) -> PayRate:
    return services.set_rate(user_id=person.pk, valid_from=ago(days), per_hour=per_hour, actor=amy)


def test_days_that_are_over_are_entered_once(ada, bo, amy):
    rate(ada, amy, 1800)
    make_work(labeler=ada, at=noon(2), seconds=3000, page_seconds=4000)
    make_work(labeler=ada, at=noon(2), seconds=600)
    make_work(labeler=ada, at=noon(1), seconds=90)
    make_work(labeler=bo, at=noon(1), seconds=60)
    make_work(labeler=ada, at=timezone.now(), seconds=500)
    assert services.enter_time() == {"days": 2, "entries": 3}
    assert services.enter_time() == {"days": 0, "entries": 0}
    assert entries_of(ada) == [(ago(2), "time", 3600, 3600, 1800), (ago(1), "time", 90, 90, 45)]
    assert entries_of(bo) == [(ago(1), "time", 60, 0, 0)]
    assert LedgerEntry.objects.get(day=ago(2)).page_seconds == 4600
    standing = queries.standing_of(ada)
    assert (standing.balance, standing.pending, standing.seconds, standing.unpriced) == (1845, 500, 3690, 0)


def test_late_work_is_entered_beside_what_was_there(ada, amy):
    rate(ada, amy, 3600)
    lease = make_work(labeler=ada, at=noon(9), seconds=100)
    make_work(labeler=ada, at=noon(1), seconds=100)
    services.enter_time()
    # One came while the day ended, the other corrects an answer of a day long over.
    make_work(labeler=ada, at=noon(1), seconds=20)
    first = lease.rankings.get()
    Ranking.objects.create(
        **{"lease": lease, "task": lease.task, "labeler": ada, "group": "training", "revision": 2, "replaces": first},
        **{"idempotency_key": "2", "payload_sha256": "1" * 64, "order_shown": first.order_shown, "active_seconds": 7},
    )
    Lease.objects.filter(pk=lease.pk).update(active_seconds=107)
    assert services.enter_time() == {"days": 0, "entries": 2}
    assert entries_of(ada) == [
        (ago(9), "time", 100, 100, 100),
        (ago(9), "time", 7, 7, 7),
        (ago(1), "time", 100, 100, 100),
        (ago(1), "time", 20, 20, 20),
    ]
    assert services.enter_time()["entries"] == 0


def test_corrections_are_found_after_the_scheduler_stood_still(ada, amy):
    lease = make_work(labeler=ada, at=noon(70), seconds=100)
    services.enter_time()
    with pgtrigger.ignore("labeling.PayDay:pay_day_is_append_only"):
        PayDay.objects.filter(day__gt=ago(60)).delete()
    first = lease.rankings.get()
    second = Ranking.objects.create(
        **{"lease": lease, "task": lease.task, "labeler": ada, "group": "training", "revision": 2, "replaces": first},
        **{"idempotency_key": "2", "payload_sha256": "1" * 64, "order_shown": first.order_shown, "active_seconds": 7},
    )
    with pgtrigger.ignore("labeling.Ranking:ranking_is_append_only"):
        Ranking.objects.filter(pk=second.pk).update(created_at=noon(50))
    Lease.objects.filter(pk=lease.pk).update(active_seconds=107)
    assert services.enter_time() == {"days": 59, "entries": 1}


@pytest.mark.django_db(transaction=True)
def test_the_scheduler_runs_the_job(ada, settings):
    make_work(labeler=ada, at=noon(1), seconds=60)
    assert settings.CELERY_BEAT_SCHEDULE["pay"]["task"] in current_app.tasks
    jobs.pay()
    assert entries_of(ada) == [(ago(1), "time", 60, 0, 0)]


def test_skipped_tasks_count_as_far_as_their_draft_says(ada):
    for seconds in (40, -5, 1e300, "x", None):
        lease = make_work(labeler=ada, at=noon(1), seconds=0, page_seconds=90)
        Lease.objects.filter(pk=lease.pk).update(state="skipped", draft={"active_seconds": seconds})
    services.enter_time()
    assert entries_of(ada) == [(ago(1), "time", 40 + 90, 0, 0)]


def test_nobody_works_longer_than_a_day(ada):
    for _ in range(3):
        make_work(labeler=ada, at=noon(1), seconds=40_000)
    services.enter_time()
    assert entries_of(ada) == [(ago(1), "time", 86_400, 0, 0)]


def test_simulated_and_imported_labelers_have_no_ledger(ada, sim, amy):
    imported = User.objects.create(username="import:s:1", group="training", is_active=False)
    for person in (ada, sim, imported):
        make_work(labeler=person, at=noon(1), seconds=60)
    services.enter_time()
    assert set(LedgerEntry.objects.values_list("person", flat=True)) == {ada.pk}
    for person in (sim, imported):
        with pytest.raises(Refusal, match="never paid"):
            rate(person, amy, 1000)
        with pytest.raises(Refusal, match="never paid"):
            services.correct(user_id=person.pk, day=ago(1), seconds=60, reason="No.", actor=amy)
        assert queries.earner(person, queries.read_period(None, None)) is None


def test_a_rate_holds_until_the_next_and_changes_nothing_entered(ada, amy):
    for days in (3, 2, 1):
        make_work(labeler=ada, at=noon(days), seconds=3600)
    rate(ada, amy, 1000, days=3)
    rate(ada, amy, 2000, days=2)
    services.enter_time()
    assert [row[4] for row in entries_of(ada)] == [1000, 2000, 2000]
    # A rate for days that have an amount changes none of them, and holds for what comes to them later.
    rate(ada, amy, 9000, days=1)
    services.enter_time()
    assert [row[4] for row in entries_of(ada)] == [1000, 2000, 2000]
    make_work(labeler=ada, at=noon(1), seconds=360)
    services.enter_time()
    assert entries_of(ada)[-1] == (ago(1), "time", 360, 360, 900)
    rate(ada, amy, None, days=0)
    assert queries.standing_of(ada).rate is None


def test_time_without_a_rate_gets_its_amount_with_one(ada, amy):
    make_work(labeler=ada, at=noon(3), seconds=3600)
    make_work(labeler=ada, at=noon(2), seconds=1800)
    services.enter_time()
    services.correct(user_id=ada.pk, day=ago(2), seconds=600, reason="A call.", actor=amy)
    assert queries.standing_of(ada).unpriced == 6000
    rate(ada, amy, 1200, days=2)
    assert entries_of(ada) == [
        (ago(3), "time", 3600, 0, 0),
        (ago(2), "time", 1800, 0, 0),
        (ago(2), "correction", 600, 0, 0),
        (ago(2), "time", 0, 2400, 800),
    ]
    assert services.enter_time()["entries"] == 0
    assert queries.standing_of(ada).unpriced == 3600


def test_a_rate_is_taken_back_while_nothing_rests_on_it(ada, amy):
    first, typo = rate(ada, amy, 1000, days=5), rate(ada, amy, 99_999, days=-1)
    assert rate(ada, amy, 1000, days=5) == first
    with pytest.raises(Conflict, match="on already"):
        rate(ada, amy, 1001, days=5)
    services.take_back_rate(rate_id=typo.pk, user_id=ada.pk, actor=amy)
    with pytest.raises(NotFound):
        services.take_back_rate(rate_id=typo.pk, user_id=ada.pk, actor=amy)
    make_work(labeler=ada, at=noon(1), seconds=60)
    services.enter_time()
    with pytest.raises(Conflict, match="rests on this rate"):
        services.take_back_rate(rate_id=first.pk, user_id=ada.pk, actor=amy)
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions == ["pay.rate_set", "pay.rate_set", "pay.rate_taken_back"]


def test_days_are_those_of_the_team_and_no_answer_is_in_two(ada):
    TeamSettings.objects.create(time_zone="Pacific/Auckland")
    midnight = datetime.combine(ago(4), datetime.min.time(), tzinfo=ZoneInfo("Pacific/Auckland"))
    make_work(labeler=ada, at=midnight - timedelta(minutes=1), seconds=10)
    make_work(labeler=ada, at=midnight + timedelta(minutes=1), seconds=20)
    for hours in range(1, 160, 7):
        make_work(labeler=ada, at=min(timezone.now(), midnight + timedelta(hours=hours)), seconds=1)
    services.enter_time()
    assert entries_of(ada)[:1] == [(ago(5), "time", 10, 0, 0)]
    # Another zone from now on: days stay as they were, and the next one begins where the last one ended.
    TeamSettings.objects.update(time_zone="America/Los_Angeles")
    services.enter_time()
    until = PayDay.objects.order_by("day").last().ends_at
    counted = Lease.objects.filter(ended_at__lt=until).aggregate(all=Sum("active_seconds"))["all"]
    assert LedgerEntry.objects.aggregate(all=Sum("seconds"))["all"] == counted
    days = list(PayDay.objects.order_by("day"))
    assert all(one.ends_at == two.begins_at for one, two in zip(days, days[1:], strict=False))


def test_corrections_are_time_at_the_days_rate_or_an_amount(ada, amy):
    rate(ada, amy, 1500, days=5)
    asked = {"user_id": ada.pk, "day": ago(1), "actor": amy, "reason": "The page hung."}
    made = services.correct(**asked, seconds=-1200, key="k")
    assert (made.amount, made.priced) == (-500, -1200)
    assert services.correct(**asked, seconds=-1200, key="k") == made
    with pytest.raises(Conflict, match="sent before"):
        services.correct(**asked, seconds=-1201, key="k")
    assert services.correct(**asked, amount=250).amount == 250
    bad = ({}, {"seconds": 0}, {"amount": 0}, {"seconds": 5, "amount": 5}, {"seconds": 10**7}, {"amount": 10**12})
    for change in (
        *bad,
        {"seconds": 5, "day": ago(-1)},
        {"seconds": 5, "reason": " "},
        {"seconds": 5, "reason": "x" * 301},
    ):
        with pytest.raises(Refusal):
            services.correct(**{**asked, **change})
    assert queries.standing_of(ada).balance == -250
    assert AuditEvent.objects.filter(action="pay.corrected").count() == 2


def test_payments_are_entered_once_for_each_reference(ada, bo, amy):
    asked = {"user_id": ada.pk, "amount": 5000, "reference": "MAY-1", "actor": amy, "paid_on": ago(0)}
    asked |= {"period_from": ago(20), "period_until": ago(1)}
    made = services.enter_payment(**asked)
    assert services.enter_payment(**asked) == made and made.amount == -5000
    with pytest.raises(Conflict, match="MAY-1"):
        services.enter_payment(**{**asked, "amount": 5001})
    services.enter_payment(**{**asked, "user_id": bo.pk})
    for change in ({"amount": 0}, {"period_until": ago(21)}, {"reference": ""}, {"paid_on": ago(-2)}):
        with pytest.raises(Refusal):
            services.enter_payment(**{**asked, "reference": "other", **change})
    standing = queries.standing_of(ada)
    assert (standing.balance, standing.paid, standing.earned) == (-5000, 5000, 0)


def test_a_correction_is_asked_for_and_accepted_once(ada, bo, amy):
    rate(ada, amy, 1200, days=5)
    make_work(labeler=ada, at=noon(1), seconds=60)
    services.enter_time()
    entry = LedgerEntry.objects.get()
    with pytest.raises(NotFound):
        services.ask(person=bo, text="Mine?", entry_id=entry.pk)
    asked = services.ask(person=ada, text="I read long.", minutes=10, entry_id=entry.pk)
    assert services.ask(person=ada, text="I read long.", minutes=10, entry_id=entry.pk) == asked
    with pytest.raises(Conflict, match="accept it"):
        services.answer(request_id=asked.pk, text="Yes.", actor=amy)
    said = {"request_id": asked.pk, "reason": "So it was.", "actor": amy}
    held = services.accept(**said, seconds=600)
    assert services.accept(**said, seconds=600) == held
    for otherwise in (
        lambda: services.accept(**said, seconds=601),
        lambda: services.accept(**said, amount=200),
        lambda: services.decline(**said),
    ):
        with pytest.raises(Conflict):
            otherwise()
    assert entries_of(ada, kind="correction") == [(ago(1), "correction", 600, 600, 200)]
    assert (held.state, held.answer, held.unseen) == ("accepted", "So it was.", True)
    services.mark_seen(ada)
    assert not queries.has_news(ada)


def test_questions_are_answered_and_corrections_declined(ada, amy):
    question = services.ask(person=ada, text="Why so little?", day=ago(1))
    wish = services.ask(person=ada, text="An hour too much.", minutes=-60, day=ago(1))
    assert services.answer(request_id=question.pk, text="It was a holiday.", actor=amy).state == "answered"
    with pytest.raises(Conflict, match="decided already"):
        services.answer(request_id=question.pk, text="Or not.", actor=amy)
    with pytest.raises(Conflict):
        services.accept(request_id=question.pk, reason="x", seconds=1, actor=amy)
    with pytest.raises(Conflict):
        services.decline(request_id=question.pk, reason="x", actor=amy)
    assert services.decline(request_id=wish.pk, reason="It is right.", actor=amy).state == "declined"
    assert not LedgerEntry.objects.exists()
    for bad in ({"minutes": 0}, {"minutes": 10**6}, {"text": ""}, {"day": ago(-1)}, {"day": None}):
        with pytest.raises(Refusal):
            services.ask(**{"person": ada, "text": "x", "day": ago(1), **bad})
    for number in range(services.MOST_OPEN):
        services.ask(person=ada, text=f"And {number}?", day=ago(1))
    with pytest.raises(TooMany):
        services.ask(person=ada, text="One more?", day=ago(1))
    assert PayRequest.objects.filter(state="open").count() == services.MOST_OPEN


def test_warnings_for_no_rate_and_for_pay_below_the_floor(ada, bo, hal, rita, amy):
    User.objects.filter(pk__in=[ada.pk, bo.pk, hal.pk, rita.pk]).update(last_login=timezone.now())
    services.change_settings(currency="EUR", floor=1300, actor=amy)
    rate(ada, amy, 1200)
    rate(hal, amy, 1300)
    for person in (ada, bo, hal):
        make_work(labeler=person, at=noon(1), seconds=3600, page_seconds=7200)
    services.enter_time()
    no_rate, below = queries.warned()
    assert ([one.person for one in no_rate], [one.person for one in below]) == ([bo], [ada])
    assert (below[0].effective, below[0].effective_on_page) == (1200, 600)
    services.correct(user_id=ada.pk, day=ago(1), amount=100, reason="Up to the floor.", actor=amy)
    assert queries.warned()[1] == []
    one = next(one for one in no_rate if one.person == bo)
    one.person.group = User.Group.APPLICANT
    assert not one.has_no_rate


def test_the_currency_stays_once_money_is_in_it(ada, amy):
    assert services.change_settings(currency="JPY", floor=0, actor=amy).currency == "JPY"
    rate(ada, amy, 1500)
    services.change_settings(currency="JPY", floor=1000, actor=amy)
    with pytest.raises(Conflict, match="in JPY already"):
        services.change_settings(currency="EUR", floor=1000, actor=amy)
    with pytest.raises(Refusal, match="none of the currencies"):
        services.change_settings(currency="XXX", floor=0, actor=amy)


@pytest.mark.parametrize(
    ("seconds", "per_hour", "amount"),
    [(3600, 1234, 1234), (1, 1799, 0), (1, 1800, 1), (1, 5400, 2), (-1, 1800, -1), (-1, 1799, 0), (0, 99, 0)],
)
def test_money_is_rounded_to_the_nearest_halves_away_from_zero(seconds, per_hour, amount):
    assert amount_of(seconds, per_hour) == amount


def test_amounts_are_read_and_said_in_whole_units(settings):
    assert [read_amount(text, "EUR", name="x") for text in ("12", "12.5", "12,50", "-0.01", "−3")] == [
        *(1200, 1250, 1250, -1, -300)
    ]
    assert read_amount("12", "JPY", name="x") == 12 and read_amount("1.234", "KWD", name="x") == 1234
    for bad in ("", "1.234", "1,000.00", "1e3", "٣", "--1", "9" * 20, "1.", None):
        with pytest.raises(Refusal, match="must be an amount in EUR"):
            read_amount(bad, "EUR", name="x")
    assert (plain(-5, "EUR"), plain(1234567, "EUR"), plain(12, "JPY")) == ("-0.05", "12345.67", "12")
    assert say(-123456789, "EUR") == "−1,234,567.89\u00a0EUR"
    assert (per_hour_of(100, 0), per_hour_of(10, 7200), per_hour_of(-1, 7200)) == (None, 5, -1)


def test_offboarded_people_keep_their_ledger(ada, amy):
    rate(ada, amy, 1000)
    make_work(labeler=ada, at=noon(1), seconds=3600)
    User.objects.filter(pk=ada.pk).update(is_active=False, offboarded_at=timezone.now(), offboard_reason="Left.")
    services.enter_time()
    assert queries.standing_of(User.objects.get(pk=ada.pk)).balance == 1000
    assert [one.person.pk for one in queries.earners_page(queries.read_period(None, None))] == [ada.pk]


def test_people_come_in_pages_and_files_have_them_all(ada, bo, hal, amy):
    for person in (ada, bo, hal):
        rate(person, amy, 1000)
    make_ranking(task=make_task(), labeler=ada)
    period = queries.read_period(None, None)
    first = queries.earners_page(period, size=2)
    second = queries.earners_page(period, size=2, after=first.next)
    assert [one.person for one in (*first, *second)] == [ada, bo, hal] and second.next is None
    assert [row[0] for row in queries.earner_rows(period)] == ["ada", "bo", "hal"]


def test_the_demo_has_pay_to_look_at_and_the_job_leaves_it(ada, amy):
    for _ in range(2):
        content.bring_pay()
    make_work(labeler=ada, at=noon(2), seconds=60)
    services.enter_time()
    kinds = list(LedgerEntry.objects.order_by("kind").values_list("kind", flat=True))
    assert kinds == ["correction"] * 8 + ["payment", "time"]
    assert LedgerEntry.objects.get(kind="time").amount == 33 and queries.waiting() == 1
