"""Enter time, rates, corrections and payments into the ledger; ask about it and answer. Nothing entered is changed."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.pay import queries
from labeling.pay.models import LedgerEntry, PayDay, PayRate, PayRequest, PaySettings
from labeling.pay.money import CURRENCIES, MOST, amount_of
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.refusals import Conflict, NotFound, Refusal, TooMany
from labeling.text import check_text

LOOK_BACK = 3  # days that are over and are looked at again, for answers that were under way when they ended
AT_ONCE = 31  # days that one transaction enters
REASON_CHARACTERS, REFERENCE_CHARACTERS, TEXT_CHARACTERS, KEY_CHARACTERS = 300, 100, 2000, 100
MOST_PER_HOUR = 10**8  # minor units
MOST_SECONDS = 100 * 3600  # of one correction
MOST_OPEN = 20  # requests of one person that wait
LOCK = 0x70617931  # any number that no other advisory lock has

# What each person and day came to, what the ledger has of it, and the rate of that day. `active_seconds` of a lease is
# what the browser counted, corrections of the answer too, never more than the task was held; a skipped task has it in
# its draft. Nobody works for longer than the day is. Idle time is known where the answer came while the task was held.
COMPUTED = """
    WITH asked AS (
        SELECT person.id AS person_id, over.day, over.begins_at, over.ends_at
        FROM labeling_payday over, labeling_user person
        WHERE over.day BETWEEN %(since)s AND %(until)s AND {payable}
            AND (%(people)s::bigint[] IS NULL OR person.id = ANY (%(people)s::bigint[]))
        {late}
    )
    SELECT asked.person_id, asked.day, entered.number + 1,
        measured.seconds - entered.seconds,
        measured.page_seconds - entered.page_seconds,
        CASE WHEN rate.per_hour IS NULL THEN 0
            ELSE measured.seconds + entered.corrected - entered.priced END AS priced,
        rate.id, rate.per_hour
    FROM asked
    CROSS JOIN LATERAL (
        SELECT least(coalesce(sum(active), 0), extract(epoch FROM asked.ends_at - asked.begins_at))::int AS seconds,
            coalesce(sum(greatest(active, page)), 0)::int AS page_seconds
        FROM (
            SELECT active_seconds AS active,
                CASE WHEN ended_at <= expires_at THEN extract(epoch FROM ended_at - granted_at) ELSE 0 END AS page
            FROM labeling_lease
            WHERE labeler_id = asked.person_id AND state = 'submitted'
                AND ended_at >= asked.begins_at AND ended_at < asked.ends_at
            UNION ALL
            SELECT CASE WHEN jsonb_typeof(draft -> 'active_seconds') = 'number' THEN floor(greatest(0, least(
                    (draft ->> 'active_seconds')::numeric, extract(epoch FROM ended_at - granted_at)))) ELSE 0 END, 0
            FROM labeling_lease
            WHERE labeler_id = asked.person_id AND state = 'skipped'
                AND ended_at >= asked.begins_at AND ended_at < asked.ends_at
        ) work
    ) measured
    CROSS JOIN LATERAL (
        SELECT coalesce(max(number), 0) AS number,
            coalesce(sum(seconds) FILTER (WHERE kind = 'time'), 0) AS seconds,
            coalesce(sum(seconds) FILTER (WHERE kind = 'correction'), 0) AS corrected,
            coalesce(sum(page_seconds), 0) AS page_seconds,
            coalesce(sum(priced), 0) AS priced
        FROM labeling_ledgerentry WHERE person_id = asked.person_id AND day = asked.day
    ) entered
    LEFT JOIN LATERAL (
        SELECT id, per_hour FROM labeling_payrate
        WHERE person_id = asked.person_id AND valid_from <= asked.day ORDER BY valid_from DESC LIMIT 1
    ) rate ON true
    WHERE measured.seconds <> entered.seconds
        OR rate.per_hour IS NOT NULL AND measured.seconds + entered.corrected <> entered.priced
    ORDER BY asked.day, asked.person_id
"""
# Days long over whose answers were corrected since: the time of a correction counts on the day of the answer.
LATE = "".join(
    f"""
        UNION
        SELECT person.id, over.day, over.begins_at, over.ends_at
        FROM labeling_user person
        JOIN {table} answer ON answer.labeler_id = person.id AND answer.revision > 1
            AND answer.created_at >= %(corrected_since)s
        JOIN labeling_lease lease ON lease.id = answer.lease_id
        JOIN labeling_payday over ON over.begins_at <= lease.ended_at AND over.ends_at > lease.ended_at
        WHERE {{payable}}
    """
    for table in ("labeling_ranking", "labeling_demonstration", "labeling_writtenprompt", "labeling_review")
)
# So does that of a second look after which the answer was kept.
LATE += """
        UNION
        SELECT person.id, over.day, over.begins_at, over.ends_at
        FROM labeling_secondlook look
        JOIN labeling_lease lease ON lease.id = look.lease_id
        JOIN labeling_user person ON person.id = lease.labeler_id
        JOIN labeling_payday over ON over.begins_at <= lease.ended_at AND over.ends_at > lease.ended_at
        WHERE look.state = 'kept' AND look.ended_at >= %(corrected_since)s AND {payable}
    """


def enter_time() -> dict[str, int]:
    """Enter what each day that is over came to, for each person, and what was added to earlier days since.

    For the scheduler; doing it again, or twice at once, enters nothing more. How many days and entries are new.
    """
    before = PayDay.objects.order_by("-day").values_list("day", flat=True)[:LOOK_BACK]
    since, done = min(before, default=None), {"days": 0, "entries": 0}
    while True:
        days, entries = _enter_days(corrected_since=since)
        done = {"days": done["days"] + days, "entries": done["entries"] + entries}
        if days < AT_ONCE:
            return done


@transaction.atomic(durable=True)
def _enter_days(*, corrected_since: date | None) -> tuple[int, int]:
    """Write down up to AT_ONCE days more, with their entries, and look again at the LOOK_BACK days before them."""
    _lock()
    days = close_days()
    looked_at = PayDay.objects.order_by("-day").values_list("day", flat=True)[: len(days) + LOOK_BACK]
    if not looked_at:
        return 0, 0
    # Corrections since the scheduler ran last, however long that is ago.
    since = min(looked_at)
    entries = _enter(since=since, until=max(looked_at), corrected_since=min(since, corrected_since or since))
    return len(days), entries


def close_days() -> list[date]:
    """Write down the next days that are over, AT_ONCE of them: the first is that of the first answer of anybody.

    In the transaction that enters them, so that no day is written down and never entered.
    """
    zone = ZoneInfo(team_settings().time_zone)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        (now,) = cursor.fetchone()
    last = PayDay.objects.order_by("-day").first()
    if last is not None:
        day, begins_at = last.day + timedelta(days=1), last.ends_at
    else:
        first = queries.first_work_at()
        if first is None:
            return []
        day = first.astimezone(zone).date()
        begins_at = _midnight(day, zone)
    made = []
    while (ends_at := max(begins_at, _midnight(day + timedelta(days=1), zone))) <= now and len(made) < AT_ONCE:
        made.append(PayDay(day=day, begins_at=begins_at, ends_at=ends_at))
        day, begins_at = day + timedelta(days=1), ends_at
    PayDay.objects.bulk_create(made)
    return [each.day for each in made]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=zone).astimezone(ZoneInfo("UTC"))


def _lock() -> None:
    """One at a time computes or enters, to its commit. Without it two would compute the same, and the unique index
    on a person's day would keep one of each."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


@transaction.atomic
def _enter(*, since: date, until: date, people: list[int] | None = None, corrected_since: date | None = None) -> int:
    """Make the ledger say what these days came to, and any whose answers were corrected since a day that is written
    down; how many entries that took."""
    _lock()
    late, asked = "", {"since": since, "until": until, "people": people}
    if corrected_since is not None:
        late = LATE.format(payable=queries.PAYABLE)
        asked["corrected_since"] = PayDay.objects.get(day=corrected_since).begins_at
    statement = COMPUTED.format(payable=queries.PAYABLE, late=late)
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        entries = [_entry(*row) for row in cursor]
    LedgerEntry.objects.bulk_create(entries, ignore_conflicts=True)
    return len(entries)


def _entry(
    person_id: int, day: date, number: int, seconds: int, page: int, priced: int, rate_id: int | None, per_hour: int
) -> LedgerEntry:
    made = LedgerEntry(
        person_id=person_id,
        kind=LedgerEntry.Kind.TIME,
        day=day,
        number=number,
        seconds=seconds,
        page_seconds=page,
        created_at=Now(),
    )
    if priced:
        made.priced, made.rate_id, made.per_hour, made.amount = priced, rate_id, per_hour, amount_of(priced, per_hour)
    return made


# Rates


@transaction.atomic(durable=True)
def set_rate(*, user_id: int, valid_from: date, per_hour: int | None, actor: User) -> PayRate:
    """What the person's hour is worth, in minor units, from a day on until their next rate; None for no rate.

    What the ledger has an amount for keeps it. Time that was entered without one gets it now, by entries of its own,
    where its day is not before `valid_from`. The same again is said once; Conflict for another rate from the same day.
    """
    person = queries.get_payable(user_id)
    today = queries.today()
    if not date(2000, 1, 1) <= valid_from <= today + timedelta(days=366):
        raise Refusal(_("A rate begins on a day from 2000 to a year from now; this is {day}.").format(day=valid_from))
    if per_hour is not None and not 1 <= per_hour <= MOST_PER_HOUR:
        raise Refusal(_("A rate is more than nothing and at most a million an hour; leave it empty for no rate."))
    _lock()
    earlier = PayRate.objects.filter(person=person, valid_from=valid_from).first()
    if earlier is not None:
        if earlier.per_hour == per_hour:
            return earlier
        raise Conflict(
            _(
                "There is a rate from {day} on already. Take it back first, if no entry rests on it, or let the new "
                "one begin on another day."
            ).format(day=valid_from)
        )
    before = queries.rate_on(person, valid_from)
    made = PayRate.objects.create(person=person, valid_from=valid_from, per_hour=per_hour, created_by=actor)
    record(
        actor=actor,
        action="pay.rate_set",
        subject=person,
        before={"per_hour": before.per_hour if before else None},
        per_hour=per_hour,
        valid_from=valid_from.isoformat(),
        currency=queries.pay_settings().currency,
    )
    _enter(since=valid_from, until=today, people=[person.pk])
    return made


@transaction.atomic(durable=True)
def take_back_rate(*, rate_id: int, user_id: int, actor: User) -> None:
    """The rate was never there; the one before it holds on. Conflict once an entry of the ledger rests on it."""
    _lock()
    held = PayRate.objects.filter(pk=rate_id, person=user_id).select_related("person").first()
    if held is None:
        raise NotFound(_("There is no such rate; it may be taken back already."))
    if held.entries.exists():
        raise Conflict(
            _("The ledger rests on this rate already. Set another from a later day, and correct the days before it.")
        )
    before = {"per_hour": held.per_hour, "valid_from": held.valid_from.isoformat()}
    record(actor=actor, action="pay.rate_taken_back", subject=held.person, before=before)
    held.delete()


# What admins enter


@transaction.atomic(durable=True)
def correct(
    *,
    user_id: int,
    day: date,
    reason: Any,
    actor: User,
    seconds: int | None = None,
    amount: int | None = None,
    key: str | None = None,
) -> LedgerEntry:
    """Enter `seconds` more (or less) of active time on a day, at that day's rate, or an `amount` in minor units.

    Give one of the two. With the `key` of an earlier correction of this person: that one, or Conflict where it was
    another.
    """
    person = queries.get_payable(user_id)
    _lock()
    return _correct(person, day=day, reason=reason, actor=actor, seconds=seconds, amount=amount, key=key)


def _correct(
    person: User,
    *,
    day: date,
    reason: Any,
    actor: User,
    seconds: int | None,
    amount: int | None,
    key: str | None = None,
    request: PayRequest | None = None,
) -> LedgerEntry:
    reason = _read(reason, where=_("the reason"), longest=REASON_CHARACTERS)
    _check_change(seconds, amount)
    _check_day(day)
    key = _read_key(key)
    made = LedgerEntry(
        person=person,
        kind=LedgerEntry.Kind.CORRECTION,
        day=day,
        reason=reason,
        request=request,
        key=key,
        created_by=actor,
        created_at=Now(),
    )
    if seconds is None:
        made.amount = amount
    else:
        made.seconds = seconds
        rate = queries.rate_on(person, day)
        if rate is not None and rate.per_hour is not None:
            made.rate, made.per_hour, made.priced = rate, rate.per_hour, seconds
            made.amount = amount_of(seconds, rate.per_hour)
    earlier = LedgerEntry.objects.filter(person=person, key=key).first() if key else None
    if earlier is not None:
        same = ("kind", "day", "seconds", "reason")
        if all(getattr(earlier, name) == getattr(made, name) for name in same) and (
            seconds is not None or earlier.amount == amount
        ):
            return earlier
        raise Conflict(_("This form was sent before with something else in it, which is entered; open the page anew."))
    made.save(force_insert=True)
    made.refresh_from_db()
    record(
        actor=actor,
        action="pay.corrected",
        subject=person,
        entry=made.pk,
        day=day.isoformat(),
        seconds=made.seconds,
        amount=made.amount,
        reason=reason,
    )
    return made


@transaction.atomic(durable=True)
def enter_payment(
    *,
    user_id: int,
    amount: int,
    reference: Any,
    period_from: date,
    period_until: date,
    paid_on: date,
    actor: User,
    note: Any = "",
) -> LedgerEntry:
    """Write down that `amount` (minor units, above 0) was paid to the person for a period. It pays nothing itself.

    A reference stands once in a person's ledger: the same payment again is that one, Conflict for another under it.
    """
    person = queries.get_payable(user_id)
    reference = _read(reference, where=_("the reference"), longest=REFERENCE_CHARACTERS)
    note = check_text(str(note), where=_("the note")).strip()
    if len(note) > REASON_CHARACTERS:
        raise Refusal(_("A note has at most {longest} characters; shorten it.").format(longest=REASON_CHARACTERS))
    if not 0 < amount <= MOST:
        raise Refusal(_("A payment is more than nothing; to take one back, enter a correction of its amount."))
    if period_from > period_until:
        raise Refusal(_("The period ends before it begins; its first day comes first."))
    _check_day(paid_on)
    _check_day(period_from)
    _lock()
    earlier = LedgerEntry.objects.filter(person=person, kind=LedgerEntry.Kind.PAYMENT, reference=reference).first()
    if earlier is not None:
        if (earlier.amount, earlier.period_from, earlier.period_until) == (-amount, period_from, period_until):
            return earlier
        raise Conflict(
            _("Another payment to this person has the reference {reference}; give this one its own.").format(
                reference=reference
            )
        )
    made = LedgerEntry.objects.create(
        person=person,
        kind=LedgerEntry.Kind.PAYMENT,
        day=paid_on,
        amount=-amount,
        reference=reference,
        reason=note,
        period_from=period_from,
        period_until=period_until,
        created_by=actor,
    )
    record(
        actor=actor,
        action="pay.paid",
        subject=person,
        entry=made.pk,
        amount=amount,
        reference=reference,
        period=[period_from.isoformat(), period_until.isoformat()],
    )
    return made


@transaction.atomic(durable=True)
def change_settings(*, currency: str, floor: int, actor: User) -> PaySettings:
    """The team's currency, and the hourly pay (minor units) below which the pages warn; 0 for no floor.

    Conflict for another currency once there is a rate or an entry: amounts would mean something else.
    """
    if currency not in CURRENCIES:
        raise Refusal(
            _("{currency!r} is none of the currencies here: {currencies}.").format(
                currency=currency[:10], currencies=", ".join(sorted(CURRENCIES))
            )
        )
    if not 0 <= floor <= MOST_PER_HOUR:
        raise Refusal(_("A floor is from 0, for none, to a million an hour."))
    _lock()
    PaySettings.objects.bulk_create([PaySettings()], ignore_conflicts=True)
    row = PaySettings.objects.select_for_update().get()
    before = {"currency": row.currency, "floor": row.floor}
    if currency != row.currency and (PayRate.objects.exists() or LedgerEntry.objects.exists()):
        raise Conflict(
            _("Rates and entries are in {currency} already; it stays the currency.").format(currency=row.currency)
        )
    if before != {"currency": currency, "floor": floor}:
        PaySettings.objects.update(currency=currency, floor=floor)
        record(actor=actor, action="pay.settings_changed", subject=row, before=before, currency=currency, floor=floor)
        row.refresh_from_db()
    return row


# Asking and answering


@transaction.atomic(durable=True)
def ask(
    *,
    person: User,
    text: Any,
    minutes: int | None = None,
    day: date | None = None,
    entry_id: int | None = None,
) -> PayRequest:
    """Ask about an entry of one's own or a day; with `minutes`, ask for that much more (or less) time on it.

    The same twice while it waits is asked once. NotFound for somebody else's entry, TooMany beyond MOST_OPEN.
    """
    entry = queries.own_entry(person, entry_id) if entry_id is not None else None
    day = entry.day if entry else day
    if day is None:
        raise Refusal(_("Say which day it is about."))
    _check_day(day)
    if minutes is not None and (minutes == 0 or abs(minutes) * 60 > MOST_SECONDS):
        raise Refusal(
            _("A correction is from 1 minute to {hours} hours; a minus in front says that time is too much.").format(
                hours=MOST_SECONDS // 3600
            )
        )
    text = _read(text, where=_("the text"), longest=TEXT_CHARACTERS)
    if not queries.is_payable(person):
        raise Refusal(_("Simulated and imported labelers are never paid."))
    # The row lock makes the count exact when the form is sent twice at once.
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    waiting = PayRequest.objects.filter(person=person, state=PayRequest.State.OPEN)
    earlier = waiting.filter(day=day, entry=entry, minutes=minutes, text=text).first()
    if earlier is not None:
        return earlier
    if waiting.count() >= MOST_OPEN:
        raise TooMany(_("{count} of your questions wait already; wait for answers first.").format(count=MOST_OPEN))
    kind = PayRequest.Kind.QUESTION if minutes is None else PayRequest.Kind.CORRECTION
    return PayRequest.objects.create(person=person, kind=kind, day=day, entry=entry, minutes=minutes, text=text)


@transaction.atomic(durable=True)
def answer(*, request_id: uuid.UUID, text: Any, actor: User) -> PayRequest:
    """Answer a question. Conflict for another answer than the one that it has, or for a correction."""
    text = _read(text, where=_("the answer"), longest=TEXT_CHARACTERS)
    held = _locked(request_id)
    if held.kind != PayRequest.Kind.QUESTION:
        raise Conflict(_("A correction is asked for: accept it, or decline it with a reason."))
    return _decide(held, PayRequest.State.ANSWERED, text, actor)


@transaction.atomic(durable=True)
def decline(*, request_id: uuid.UUID, reason: Any, actor: User) -> PayRequest:
    """Enter no correction, and say why. Conflict for what was decided otherwise."""
    reason = _read(reason, where=_("the reason"), longest=TEXT_CHARACTERS)
    held = _locked(request_id)
    if held.kind != PayRequest.Kind.CORRECTION:
        raise Conflict(_("This is a question; answer it."))
    return _decide(held, PayRequest.State.DECLINED, reason, actor)


@transaction.atomic(durable=True)
def accept(
    *, request_id: uuid.UUID, reason: Any, actor: User, seconds: int | None = None, amount: int | None = None
) -> PayRequest:
    """Enter the correction that was asked for: `seconds` on its day, or an `amount`. The person reads the reason.

    Accepting the same again enters nothing more; Conflict for what was decided otherwise.
    """
    _lock()
    held = _locked(request_id)
    if held.kind != PayRequest.Kind.CORRECTION:
        raise Conflict(_("This is a question; answer it."))
    if held.state == PayRequest.State.ACCEPTED:
        entered = held.correction
        if entered.seconds == (seconds or 0) and (seconds is not None or entered.amount == amount):
            return held
        raise _decided(held)
    if held.state != PayRequest.State.OPEN:
        raise _decided(held)
    _correct(held.person, day=held.day, reason=reason, actor=actor, seconds=seconds, amount=amount, request=held)
    return _decide(held, PayRequest.State.ACCEPTED, str(reason).strip(), actor)


def _locked(request_id: uuid.UUID) -> PayRequest:
    rows = PayRequest.objects.select_for_update(of=("self",), no_key=True).select_related("person")
    held = rows.filter(pk=request_id).first()
    if held is None:
        raise NotFound(_("There is no such question about pay."))
    return held


def _decided(held: PayRequest) -> Conflict:
    return Conflict(_("This was decided already; load the page anew to see how."), state=held.state)


def _decide(held: PayRequest, state: str, text: str, actor: User) -> PayRequest:
    if held.state != PayRequest.State.OPEN:
        if (held.state, held.answer) == (state, text):
            return held
        raise _decided(held)
    held.state, held.answer, held.decided_by, held.unseen = state, text, actor, True
    held.decided_at = timezone.now()
    held.save(update_fields=["state", "answer", "decided_by", "decided_at", "unseen"])
    record(actor=actor, action=f"pay.request_{state}", subject=held, person=held.person_id)
    return held


def mark_seen(person: User) -> None:
    PayRequest.objects.filter(person=person, unseen=True).update(unseen=False)


def _read(text: Any, *, where: str, longest: int) -> str:
    if not isinstance(text, str) or not text.strip():
        raise Refusal(_("Write {where}; it is empty.").format(where=where))
    text = check_text(text, where=where).replace("\r\n", "\n").strip()
    if len(text) > longest:
        raise Refusal(
            _("It has {count} characters; at most {longest} are kept. Shorten {where}.").format(
                count=len(text), longest=longest, where=where
            )
        )
    return text


def _read_key(key: str | None) -> str | None:
    if not key:
        return None
    if len(key) > KEY_CHARACTERS:
        raise Refusal(_("A key has at most {longest} characters.").format(longest=KEY_CHARACTERS))
    return check_text(key, where=_("the key"))


def _check_change(seconds: int | None, amount: int | None) -> None:
    if (seconds is None) == (amount is None):
        raise Refusal(_("Give either time or an amount, not both."))
    if seconds is not None and not 0 < abs(seconds) <= MOST_SECONDS:
        raise Refusal(
            _("A correction of time is from 1 second to {hours} hours, with a minus in front to take it away.").format(
                hours=MOST_SECONDS // 3600
            )
        )
    if amount is not None and not 0 < abs(amount) <= MOST:
        raise Refusal(_("An amount of nothing corrects nothing."))


def _check_day(day: date) -> None:
    if not date(2000, 1, 1) <= day <= queries.today():
        raise Refusal(_("{day} is no day up to today where the team is.").format(day=day))
