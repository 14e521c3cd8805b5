"""What people earned, were paid and are owed: sums of the ledger, by index alone, and the lists of its pages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.paging import Page, keyset_page, read_cursor, write_cursor
from labeling.pay import money
from labeling.pay.models import LedgerEntry, PayDay, PayRate, PayRequest, PaySettings
from labeling.people.models import User
from labeling.people.queries import get_person, team_settings
from labeling.refusals import NotFound, Refusal

PAGE = 50
AT_ONCE = 500  # rows of a file that are looked up together
# Programs, and the names under which rankings from elsewhere stand, are nobody to pay.
PAYABLE = """(person."group" <> 'simulated' AND person.username NOT LIKE 'import:%%')"""
IMPORTED = "import:"
# Less active time than this says nothing of an hourly pay: the rounding of a minute's amount would show.
TELLING_SECONDS = 3600
WARNED_DAYS = 28
WEEKS = 26


def pay_settings() -> PaySettings:
    return PaySettings.objects.first() or PaySettings()


def today() -> date:
    """The day where the team is."""
    return timezone.now().astimezone(ZoneInfo(team_settings().time_zone)).date()


def is_payable(person: User) -> bool:
    return not person.is_simulated and not person.username.startswith(IMPORTED)


def get_payable(user_id: int) -> User:
    """The person; NotFound where there is none, Refusal for who is never paid."""
    person = get_person(user_id)
    if not is_payable(person):
        raise Refusal(_("Simulated and imported labelers are never paid."))
    return person


def first_work_at() -> datetime | None:
    """When anybody who may be paid ended a task for the first time."""
    ended = " UNION ALL ".join(
        f"""(SELECT ended_at FROM labeling_lease WHERE labeler_id = person.id AND state = '{state}'
        ORDER BY ended_at LIMIT 1)"""
        for state in ("submitted", "skipped")
    )
    statement = f"SELECT min(ended_at) FROM labeling_user person, LATERAL ({ended}) ended WHERE {PAYABLE}"
    with connection.cursor() as cursor:
        cursor.execute(statement, {})
        return cursor.fetchone()[0]


# Rates


def rates_of(person: User) -> QuerySet[PayRate]:
    """Newest first, each with `used`: how many entries rest on it."""
    return PayRate.objects.filter(person=person).annotate(used=Count("entries")).order_by("-valid_from")


def rate_on(person: User, day: date) -> PayRate | None:
    """The rate that holds on a day; its `per_hour` is None where it says that there is none."""
    return PayRate.objects.filter(person=person, valid_from__lte=day).order_by("-valid_from").first()


# Periods


@dataclass(frozen=True)
class Period:
    """Days from `since` to `until`, both within."""

    since: date
    until: date


def read_period(since: date | None, until: date | None) -> Period:
    """The days asked for; the last WARNED_DAYS where nothing is said. Refusal for an end before the beginning."""
    end = until or today()
    begin = since or end - timedelta(days=WARNED_DAYS - 1)
    if begin > end:
        raise Refusal(_("The period ends before it begins; its first day comes first."))
    return Period(begin, end)


# Everybody


@dataclass(frozen=True)
class Earner:
    """One person in a period. Amounts in minor units; `balance` is of all time, what they are owed by now."""

    person: User
    seconds: int  # active
    page_seconds: int  # with idle time where that is known, never less than active
    priced: int
    earned: int  # time and corrections
    paid: int
    balance: int
    per_hour: int | None  # the rate today
    floor: int

    @property
    def effective(self) -> int | None:
        """Minor units for an hour of active time."""
        return money.per_hour_of(self.earned, self.seconds)

    @property
    def effective_on_page(self) -> int | None:
        """The same with idle time."""
        return money.per_hour_of(self.earned, self.page_seconds)

    @property
    def unpriced(self) -> int:
        """Seconds without an amount."""
        return self.seconds - self.priced

    @property
    def has_no_rate(self) -> bool:
        """Somebody who works for money and whose time has no worth."""
        # Who is looked at before they work for money: no rate is as it should be.
        if self.person.role != User.Role.LABELER or self.person.group == User.Group.APPLICANT:
            return False
        return self.unpriced > 0 or self.per_hour is None and self.person.is_active and bool(self.person.last_login)

    @property
    def is_below_floor(self) -> bool:
        """All their active time together comes to less an hour than the team means to pay."""
        if not self.floor or self.seconds < TELLING_SECONDS or self.priced <= 0:
            return False
        return self.earned * money.HOUR < self.floor * self.seconds


FIGURES = f"""
    SELECT person.id, period.seconds, period.page_seconds, period.priced, period.earned, period.paid,
        (SELECT coalesce(sum(amount), 0)::bigint FROM labeling_ledgerentry WHERE person_id = person.id),
        (
            SELECT per_hour FROM labeling_payrate
            WHERE person_id = person.id AND valid_from <= %(today)s ORDER BY valid_from DESC LIMIT 1
        )
    FROM labeling_user person, LATERAL (
        SELECT coalesce(sum(seconds), 0)::bigint AS seconds,
            coalesce(sum(CASE kind WHEN 'time' THEN page_seconds ELSE seconds END), 0)::bigint AS page_seconds,
            coalesce(sum(priced), 0)::bigint AS priced,
            coalesce(sum(amount) FILTER (WHERE kind <> 'payment'), 0)::bigint AS earned,
            -coalesce(sum(amount) FILTER (WHERE kind = 'payment'), 0)::bigint AS paid
        FROM labeling_ledgerentry WHERE person_id = person.id AND day BETWEEN %(since)s AND %(until)s
    ) period
    WHERE {PAYABLE} AND {{which}}
"""
# Whoever is in the ledger, and whoever may work and has been here.
CONCERNED = """(
    EXISTS (SELECT FROM labeling_ledgerentry WHERE person_id = person.id)
    OR EXISTS (SELECT FROM labeling_payrate WHERE person_id = person.id)
    OR person.is_active AND person.role = 'labeler' AND person.last_login IS NOT NULL
)"""


def _earners(which: str, period: Period, **asked: Any) -> list[Earner]:
    values = {"since": period.since, "until": period.until, "today": today(), **asked}
    with connection.cursor() as cursor:
        cursor.execute(FIGURES.format(which=which), values)
        rows = {pk: rest for pk, *rest in cursor}
    people = User.objects.in_bulk(rows)
    floor = pay_settings().floor
    return [Earner(people[pk], *rest, floor) for pk, rest in rows.items() if pk in people]


def earner(person: User, period: Period) -> Earner | None:
    """One person; None for who is never paid."""
    return next(iter(_earners("person.id = %(person)s", period, person=person.pk)), None)


def earners_page(period: Period, *, after: str | None = None, size: int = PAGE) -> Page:
    """`Earner`s by user name. A page costs the entries of its own people."""
    (name,) = read_cursor(after, [str]) if after else ("",)
    which = f"""person.id IN (
        SELECT person.id FROM labeling_user person
        WHERE {PAYABLE} AND person.username > %(name)s AND {CONCERNED} ORDER BY person.username LIMIT %(limit)s
    )"""
    found = {one.person.pk: one for one in _earners(which, period, name=name, limit=size + 1)}
    # In the database's order of names, which the cursor goes by.
    ordered = User.objects.filter(pk__in=found).order_by("username").values_list("pk", flat=True)
    found = [found[pk] for pk in ordered]
    more = len(found) > size
    return Page(items=found[:size], next=write_cursor([found[size - 1].person.username]) if more else None)


EARNER_COLUMNS = (
    *("user_name", "name", "group", "currency", "rate_today", "active_seconds", "page_seconds", "unpriced_seconds"),
    *("earned", "paid", "balance", "per_active_hour", "per_page_hour", "warnings"),
)


def earner_rows(period: Period) -> Iterator[tuple[Any, ...]]:
    """All people as rows of `EARNER_COLUMNS`; amounts as decimals in text."""
    currency, after = pay_settings().currency, None

    def say(amount: int | None) -> str:
        return "" if amount is None else money.plain(amount, currency)

    while True:
        page = earners_page(period, after=after, size=AT_ONCE)
        for one in page:
            warnings = ["no rate"] * one.has_no_rate + ["below the floor"] * one.is_below_floor
            yield (
                *(one.person.username, one.person.display_name, one.person.group, currency, say(one.per_hour)),
                *(one.seconds, one.page_seconds, one.unpriced, say(one.earned), say(one.paid), say(one.balance)),
                *(say(one.effective), say(one.effective_on_page), ", ".join(warnings)),
            )
        if page.next is None:
            return
        after = page.next


def warned() -> tuple[list[Earner], list[Earner]]:
    """Who has no rate, and who is below the floor, of the last WARNED_DAYS."""
    found = sorted(_earners(CONCERNED, read_period(None, None)), key=lambda one: one.person.username)
    return [one for one in found if one.has_no_rate], [one for one in found if one.is_below_floor]


# The ledger


def ledger_of(person: User) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(person=person)


def ledger_page(rows: QuerySet[LedgerEntry], *, after: str | None = None, size: int = PAGE) -> Page:
    """Newest day first."""
    return keyset_page(rows, order=("-day", "-id"), after=after, size=size)


def ledger_in(*, since: date | None, until: date | None, person: int | None = None) -> QuerySet[LedgerEntry]:
    """Entries whose day lies in the period; of all time where neither end is said."""
    rows = LedgerEntry.objects.select_related("person")
    asked = {"day__gte": since, "day__lte": until, "person": person}
    return rows.filter(**{name: value for name, value in asked.items() if value is not None})


def own_entry(person: User, entry_id: int) -> LedgerEntry:
    entry = ledger_of(person).filter(pk=entry_id).first()
    if entry is None:
        raise NotFound(_("There is no such entry in your ledger."))
    return entry


OWN_COLUMNS = (
    *("entry", "day", "kind", "active_seconds", "priced_seconds", "per_hour", "amount", "currency", "reason"),
    *("reference", "period_from", "period_until", "entered"),
)
LEDGER_COLUMNS = ("user_name", *OWN_COLUMNS, "page_seconds", "entered_by")


def own_rows(person: User) -> Iterator[tuple[Any, ...]]:
    """All of somebody's ledger as rows of `OWN_COLUMNS`, oldest first, a row at a time from the database."""
    currency = pay_settings().currency
    for entry in ledger_of(person).order_by("day", "id").iterator(chunk_size=1000):
        yield _row(entry, currency)


def ledger_rows(rows: QuerySet[LedgerEntry]) -> Iterator[tuple[Any, ...]]:
    """Entries as rows of `LEDGER_COLUMNS`, oldest first, a row at a time from the database."""
    currency = pay_settings().currency
    for entry in rows.select_related("person", "created_by").order_by("day", "id").iterator(chunk_size=1000):
        by = entry.created_by.username if entry.created_by else ""
        yield entry.person.username, *_row(entry, currency), entry.page_seconds, by


def _row(entry: LedgerEntry, currency: str) -> tuple[Any, ...]:
    per_hour = "" if entry.per_hour is None else money.plain(entry.per_hour, currency)
    return (
        *(entry.pk, entry.day, entry.kind, entry.seconds, entry.priced, per_hour),
        *(money.plain(entry.amount, currency), currency, entry.reason, entry.reference),
        *(entry.period_from, entry.period_until, entry.created_at),
    )


# One person


@dataclass(frozen=True)
class Standing:
    """Where somebody's pay stands. Amounts in minor units."""

    currency: str
    balance: int
    earned: int
    paid: int
    seconds: int
    unpriced: int
    pending: int  # active seconds since the last day that was entered
    rate: PayRate | None
    next_rate: PayRate | None


PENDING = """
    SELECT coalesce(sum(active_seconds), 0) FROM labeling_lease
    WHERE labeler_id = %s AND state = 'submitted' AND ended_at >= coalesce(%s, '-infinity'::timestamptz)
"""


def standing_of(person: User) -> Standing:
    paid = Q(kind=LedgerEntry.Kind.PAYMENT)
    sums = ledger_of(person).aggregate(
        balance=Sum("amount", default=0),
        paid=Sum("amount", filter=paid, default=0),
        seconds=Sum("seconds", default=0),
        priced=Sum("priced", default=0),
    )
    last = PayDay.objects.order_by("-day").values_list("ends_at", flat=True).first()
    with connection.cursor() as cursor:
        cursor.execute(PENDING, [person.pk, last])
        (pending,) = cursor.fetchone()
    rate = rate_on(person, today())
    return Standing(
        currency=pay_settings().currency,
        balance=sums["balance"],
        earned=sums["balance"] - sums["paid"],
        paid=-sums["paid"],
        seconds=sums["seconds"],
        unpriced=sums["seconds"] - sums["priced"],
        pending=pending,
        rate=rate if rate and rate.per_hour is not None else None,
        next_rate=PayRate.objects.filter(person=person, valid_from__gt=today()).order_by("valid_from").first(),
    )


def hours_by_week(person: User) -> list[tuple[date, int]]:
    """(Monday, seconds) of the last WEEKS weeks, oldest first, from the ledger."""
    now = today()
    monday = now - timedelta(days=now.weekday())
    first = monday - timedelta(weeks=WEEKS - 1)
    rows = ledger_of(person).filter(day__gte=first).values("day").annotate(total=Sum("seconds")).order_by("day")
    weeks = {first + timedelta(weeks=number): 0 for number in range(WEEKS)}
    for row in rows:
        begin = row["day"] - timedelta(days=row["day"].weekday())
        weeks[begin] = weeks.get(begin, 0) + row["total"]
    return list(weeks.items())


# What was asked


def get_request(request_id: uuid.UUID) -> PayRequest:
    rows = PayRequest.objects.select_related("person", "entry", "decided_by", "correction")
    found = rows.filter(pk=request_id).first()
    if found is None:
        raise NotFound(_("There is no such question about pay."))
    return found


def requests_of(person: User, *, limit: int) -> QuerySet[PayRequest]:
    """Newest first, each with the correction it led to."""
    rows = PayRequest.objects.filter(person=person).select_related("entry", "correction")
    return rows.order_by("-created_at", "-id")[:limit]


def inbox_page(*, open_only: bool, after: str | None = None) -> Page:
    """What waits, oldest first; or all of it, newest first."""
    rows = PayRequest.objects.select_related("person", "decided_by", "correction")
    if open_only:
        return keyset_page(rows.filter(state=PayRequest.State.OPEN), order=("created_at", "id"), after=after)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def waiting() -> int:
    """Requests that wait, counted to 100."""
    return PayRequest.objects.filter(state=PayRequest.State.OPEN)[:100].count()


def has_news(person: User) -> bool:
    return PayRequest.objects.filter(person=person, unseen=True).exists()
