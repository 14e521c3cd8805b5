"""Rates, the ledger, and what people ask about it. Money is in minor units of the team's one currency.

docs/pay.md says what each means to those who are paid.
"""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models.functions import Now

from labeling.pay.money import CURRENCIES

# Programs, and the names under which rankings from elsewhere stand, are nobody to pay.
IS_PAYABLE = """
    IF EXISTS (
        SELECT FROM labeling_user person
        WHERE person.id = NEW.person_id AND (person."group" = 'simulated' OR person.username LIKE 'import:%')
    ) THEN
        RAISE check_violation USING MESSAGE = 'simulated and imported labelers are never paid',
            CONSTRAINT = TG_NAME;
    END IF;
    RETURN NEW;
"""
# As `money.amount_of` rounds: to the nearest, halves away from zero. PostgreSQL divides integers towards zero.
AMOUNT = models.Func(
    models.F("priced"),
    models.F("per_hour"),
    template="(sign(priced)::bigint * ((2 * abs(priced::bigint) * per_hour + 3600) / 7200))",
    output_field=models.BigIntegerField(),
)


class PaySettings(models.Model):
    """The team's currency and the hourly pay it means to keep above: one row, or none while both are as they came."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    currency = models.CharField(max_length=3, default="USD", db_default="USD")
    # Minor units an hour; 0 for no floor.
    floor = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="pay_settings_are_one_row"),
            models.CheckConstraint(
                condition=models.Q(currency__in=sorted(CURRENCIES)), name="pay_settings_currency_is_known"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="pay_currency_stays",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("currency"),
                func="""
                    IF EXISTS (SELECT FROM labeling_payrate) OR EXISTS (SELECT FROM labeling_ledgerentry) THEN
                        RAISE EXCEPTION 'rates and entries are in %, which stays the currency', OLD.currency;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class PayRate(models.Model):
    """What somebody's hour is worth from a day on, until the day of their next rate: so no two ever overlap.

    Never changed. It may be taken back while no entry of the ledger rests on it.
    """

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="pay_rates", db_index=False
    )
    valid_from = models.DateField()
    # None: no rate from this day on.
    per_hour = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["person", "valid_from"], name="pay_rate_one_from_each_day"),
            models.CheckConstraint(
                condition=models.Q(per_hour__isnull=True) | models.Q(per_hour__gte=1), name="pay_rate_is_above_nothing"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="pay_rate_is_never_changed", operation=pgtrigger.Update),
            pgtrigger.Trigger(
                name="pay_rate_is_of_a_person", when=pgtrigger.Before, operation=pgtrigger.Insert, func=IS_PAYABLE
            ),
        ]


class PayDay(models.Model):
    """A day that is over, as the team's time zone had it when it ended. Each begins where the one before it ended, so
    that no answer is in two days, nor in none, when the team moves its time zone. Append-only."""

    day = models.DateField()
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day"], name="pay_day_once"),
            ExclusionConstraint(
                name="pay_days_never_overlap",
                expressions=[
                    (
                        models.Func("begins_at", "ends_at", function="tstzrange", output_field=DateTimeRangeField()),
                        RangeOperators.OVERLAPS,
                    )
                ],
            ),
            models.CheckConstraint(
                condition=models.Q(begins_at__lte=models.F("ends_at")), name="pay_day_ends_after_it_begins"
            ),
        ]
        triggers = [pgtrigger.Protect(name="pay_day_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]


class PayRequest(models.Model):
    """What somebody asks about an entry or a day, or wants corrected, and what an admin said. One answer each."""

    class Kind(models.TextChoices):
        QUESTION = "question"
        CORRECTION = "correction"

    class State(models.TextChoices):
        OPEN = "open"
        ANSWERED = "answered"
        ACCEPTED = "accepted"
        DECLINED = "declined"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="pay_requests", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # The day it is about, and the entry, where it is about one.
    day = models.DateField()
    entry = models.ForeignKey("LedgerEntry", null=True, on_delete=models.PROTECT, related_name="requests")
    # Of a correction: the time that is missing, or too much where below zero, as the person has it.
    minutes = models.IntegerField(null=True)
    text = models.TextField()
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    answer = models.TextField(blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    # An answer that the person has not looked at.
    unseen = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="question", state__in=["open", "answered"], minutes__isnull=True)
                | models.Q(kind="correction", state__in=["open", "accepted", "declined"], minutes__isnull=False)
                & ~models.Q(minutes=0),
                name="pay_request_is_a_question_or_a_correction",
            ),
            models.CheckConstraint(condition=~models.Q(text=""), name="pay_request_says_something"),
            models.CheckConstraint(
                condition=models.Q(state="open", decided_at__isnull=True, decided_by__isnull=True, answer="")
                | ~models.Q(state="open")
                & models.Q(decided_at__isnull=False, decided_by__isnull=False)
                & ~models.Q(answer=""),
                name="pay_request_is_decided_by_somebody_who_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "-created_at", "-id"], name="pay_request_of_person"),
            models.Index(fields=["created_at", "id"], condition=models.Q(state="open"), name="pay_request_open"),
            models.Index(fields=["-created_at", "-id"], name="pay_request_newest_first"),
        ]
        triggers = [
            pgtrigger.Protect(name="pay_request_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="pay_request_is_decided_once",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                func="""
                    IF OLD.state <> 'open' AND to_jsonb(OLD) - 'unseen' <> to_jsonb(NEW) - 'unseen'
                        OR to_jsonb(OLD) - '{state,answer,decided_by_id,decided_at,unseen}'::text[]
                            <> to_jsonb(NEW) - '{state,answer,decided_by_id,decided_at,unseen}'::text[] THEN
                        RAISE EXCEPTION 'What was asked about pay stays, and is decided once: %', OLD.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class LedgerEntry(models.Model):
    """One line of somebody's ledger. What they are owed is the sum of `amount`. Append-only."""

    class Kind(models.TextChoices):
        TIME = "time"
        CORRECTION = "correction"
        PAYMENT = "payment"

    id = models.BigAutoField(primary_key=True)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ledger", db_index=False
    )
    kind = models.CharField(max_length=10, choices=Kind)
    # The day worked, the day that is corrected, or the day of the payment.
    day = models.DateField()
    # Of time: 1 for what the day came to when it was over, then one for each time that it came to something else.
    number = models.PositiveSmallIntegerField(null=True)
    # Active time that this entry adds to its day, or takes from it.
    seconds = models.IntegerField(default=0)
    # Of time: the same with idle time, as far as it is known. Never paid by.
    page_seconds = models.IntegerField(default=0)
    # Time that this entry gives an amount: its own, or also what was entered before there was a rate.
    priced = models.IntegerField(default=0)
    rate = models.ForeignKey(PayRate, null=True, on_delete=models.PROTECT, related_name="entries")
    per_hour = models.PositiveIntegerField(null=True)  # the rate's
    # Minor units owed to the person; below zero for what was paid to them.
    amount = models.BigIntegerField(default=0)
    # Of a correction: why. A note beside a payment.
    reason = models.CharField(max_length=300, blank=True)
    # Of a payment: what the bank or the payroll calls it, and the days it is for.
    reference = models.CharField(max_length=100, blank=True)
    period_from = models.DateField(null=True)
    period_until = models.DateField(null=True)
    request = models.OneToOneField(PayRequest, null=True, on_delete=models.PROTECT, related_name="correction")
    # Of what an admin enters: a form that is sent twice enters once.
    key = models.CharField(max_length=100, null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["person", "day", "number"], condition=models.Q(kind="time"), name="ledger_time_once_per_day"
            ),
            models.UniqueConstraint(
                fields=["person", "reference"], condition=models.Q(kind="payment"), name="ledger_payment_once"
            ),
            models.UniqueConstraint(fields=["person", "key"], name="ledger_entered_once_per_key"),
            models.CheckConstraint(
                condition=models.Q(kind="time", number__gte=1, reason="", created_by__isnull=True)
                & (~models.Q(seconds=0) | ~models.Q(priced=0))
                | models.Q(kind="correction", number__isnull=True, created_by__isnull=False)
                & ~models.Q(reason="")
                & (~models.Q(seconds=0) & models.Q(priced__in=[0, models.F("seconds")]) | models.Q(seconds=0, priced=0))
                | models.Q(kind="payment", number__isnull=True, created_by__isnull=False, seconds=0, priced=0),
                name="ledger_entry_is_time_a_correction_or_a_payment",
            ),
            models.CheckConstraint(
                condition=models.Q(rate__isnull=True, per_hour__isnull=True, priced=0)
                & (models.Q(amount=0) | ~models.Q(kind="time") & models.Q(seconds=0))
                | models.Q(rate__isnull=False, per_hour__isnull=False, amount=AMOUNT) & ~models.Q(priced=0),
                name="ledger_amount_is_time_at_its_rate",
            ),
            models.CheckConstraint(
                condition=~models.Q(seconds=0) | ~models.Q(amount=0) | ~models.Q(priced=0),
                name="ledger_entry_changes_something",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="payment")
                & models.Q(reference="", period_from__isnull=True, period_until__isnull=True)
                | models.Q(kind="payment", period_from__lte=models.F("period_until"), amount__lt=0)
                & ~models.Q(reference=""),
                name="ledger_payment_has_its_period_and_reference",
            ),
            models.CheckConstraint(
                condition=models.Q(request__isnull=True) | models.Q(kind="correction"),
                name="ledger_request_leads_to_a_correction",
            ),
        ]
        indexes = [
            # A person's page, and their sums of a period.
            models.Index(
                fields=["person", "-day", "-id"],
                include=["kind", "seconds", "page_seconds", "priced", "amount"],
                name="ledger_of_person",
            ),
            models.Index(fields=["day", "id"], name="ledger_by_day"),
        ]
        triggers = [
            pgtrigger.Protect(name="ledger_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="ledger_is_of_a_person", when=pgtrigger.Before, operation=pgtrigger.Insert, func=IS_PAYABLE
            ),
        ]
