"""Pay over HTTP: to labelers their own, to admins everybody's, with all that the pages enter and answer.

Amounts are whole minor units of the currency; files have them as decimals, as those of the pages do.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsLabeler
from labeling.fields import Fields
from labeling.pay import queries, services
from labeling.pay.models import LedgerEntry, PayRate, PayRequest, PaySettings
from labeling.pay.money import CURRENCIES, MOST
from labeling.plots import csv_response
from labeling.refusals import Refusal

AFTER = OpenApiParameter("after", str, description="`next` of the page before.")
SINCE = OpenApiParameter("since", date, description="First day; 28 days up to the last one, where left out.")
UNTIL = OpenApiParameter("until", date, description="Last day; today, where left out.")
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="Chosen by you for this one correction: sent again with it, it is entered once.",
)
CSV = {(200, "text/csv"): OpenApiTypes.STR}
ASKED = 100  # of one person's questions, the latest
LARGEST = 2**31
WEEK_COLUMNS = ("week_begins", "active_seconds")
DAY = {"type": "string", "format": "date"}
SECONDS = {"type": "integer", "minimum": -services.MOST_SECONDS, "maximum": services.MOST_SECONDS}
MINUTES = services.MOST_SECONDS // 60
AMOUNT = {"type": "integer", "minimum": -MOST, "maximum": MOST, "description": "minor units"}
REASON = {"type": "string", "maxLength": services.REASON_CHARACTERS, "description": "the person reads it"}


def sent(properties: dict, required: Iterable[str]) -> dict:
    return {"application/json": {"type": "object", "properties": properties, "required": list(required)}}


def day_of(day: date | None) -> str | None:
    return day.isoformat() if day else None


def entry_body(entry: LedgerEntry) -> dict:
    return {
        "id": entry.pk,
        "day": entry.day.isoformat(),
        "kind": entry.kind,
        "active_seconds": entry.seconds,
        "priced_seconds": entry.priced,
        "per_hour": entry.per_hour,
        "amount": entry.amount,
        "reason": entry.reason,
        "reference": entry.reference,
        "period_from": day_of(entry.period_from),
        "period_until": day_of(entry.period_until),
        "entered_at": entry.created_at.isoformat(),
    }


def rate_body(rate: PayRate) -> dict:
    return {"id": rate.pk, "valid_from": rate.valid_from.isoformat(), "per_hour": rate.per_hour}


def request_body(held: PayRequest) -> dict:
    """What was asked and answered, as its person reads it: not which admin it was."""
    correction = getattr(held, "correction", None)
    return {
        "id": str(held.pk),
        "kind": held.kind,
        "day": held.day.isoformat(),
        "entry": held.entry_id,
        "minutes": held.minutes,
        "text": held.text,
        "state": held.state,
        "answer": held.answer,
        "correction": entry_body(correction) if correction else None,
        "asked_at": held.created_at.isoformat(),
        "decided_at": held.decided_at.isoformat() if held.decided_at else None,
    }


def earner_body(one: queries.Earner) -> dict:
    return {
        "person": one.person.pk,
        "user_name": one.person.username,
        "group": one.person.group,
        "per_hour": one.per_hour,
        "active_seconds": one.seconds,
        "page_seconds": one.page_seconds,
        "unpriced_seconds": one.unpriced,
        "earned": one.earned,
        "paid": one.paid,
        "balance": one.balance,
        "per_active_hour": one.effective,
        "per_page_hour": one.effective_on_page,
        "warnings": ["no_rate"] * one.has_no_rate + ["below_floor"] * one.is_below_floor,
    }


def period_body(period: queries.Period, one: queries.Earner | None) -> dict:
    """What somebody's hour came to in a period; nulls for who is never paid."""
    return {
        "since": period.since.isoformat(),
        "until": period.until.isoformat(),
        "active_seconds": one.seconds if one else 0,
        "page_seconds": one.page_seconds if one else 0,
        "earned": one.earned if one else 0,
        "per_active_hour": one.effective if one else None,
        "per_page_hour": one.effective_on_page if one else None,
    }


def standing_body(person, period: queries.Period) -> dict:
    standing = queries.standing_of(person)
    return {
        "currency": standing.currency,
        "balance": standing.balance,
        "earned": standing.earned,
        "paid": standing.paid,
        "per_hour": standing.rate.per_hour if standing.rate else None,
        "next_rate": rate_body(standing.next_rate) if standing.next_rate else None,
        "active_seconds": standing.seconds,
        "unpriced_seconds": standing.unpriced,
        "pending_seconds": standing.pending,
        "period": period_body(period, queries.earner(person, period)),
    }


def settings_body(held: PaySettings) -> dict:
    return {"currency": held.currency, "floor": held.floor}


# One's own


class OwnPay(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay", parameters=[SINCE, UNTIL, AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """What you are owed, your rate, and your ledger, newest day first. `pending_seconds` are not entered yet.

        `period` says what an hour came to in the days asked for: `per_active_hour` is earned ÷ active time,
        `per_page_hour` earned ÷ time on the page; null where there was none.
        """
        period = _read_period(request.query_params)
        page = queries.ledger_page(queries.ledger_of(request.user), after=request.query_params.get("after"))
        return Response(
            {
                **standing_body(request.user, period),
                "has_news": queries.has_news(request.user),
                "entries": [entry_body(entry) for entry in page],
                "next": page.next,
            }
        )


class OwnRates(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay_rates", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Your rates, the newest first, each from a day on; `per_hour` is null where there was none from that day."""
        return Response({"rates": [rate_body(rate) for rate in queries.rates_of(request.user)]})


class OwnLedgerFile(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay_ledger_csv", responses=CSV)
    def get(self, request) -> HttpResponseBase:
        """All of your ledger as CSV, oldest day first."""
        return csv_response(queries.OWN_COLUMNS, queries.own_rows(request.user), name="my-pay")


class OwnWeeks(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay_weeks", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Your hours in the ledger by week: `{"weeks": [{"week_begins", "active_seconds"}]}`, oldest first."""
        return Response({"weeks": _weeks(request.user)})


class OwnRequests(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay_requests", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """What you asked about your pay and what you were answered, the latest first. Reading it takes away the news
        of an answer."""
        found = [request_body(held) for held in queries.requests_of(request.user, limit=ASKED)]
        services.mark_seen(request.user)
        return Response({"requests": found})

    @extend_schema(
        operation_id="pay_ask",
        request=sent(
            {
                "text": {"type": "string", "maxLength": services.TEXT_CHARACTERS},
                "day": {**DAY, "description": "what it is about, unless `entry` says so"},
                "entry": {"type": "integer", "description": "an entry of your own ledger"},
                "minutes": {
                    "type": "integer",
                    "minimum": -MINUTES,
                    "maximum": MINUTES,
                    "description": "to have so much time entered, or taken away; without it, it is a question",
                },
            },
            ["text"],
        ),
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request) -> Response:
        """Ask about an entry or a day; with `minutes`, for a correction of the time. Sent twice it is asked once."""
        fields = Fields(request.data)
        said = {
            "text": fields.text("text", longest=services.TEXT_CHARACTERS),
            "day": _day_in(fields, "day", None),
            "entry_id": fields.integer("entry", None, least=1, most=2**63 - 1),
            "minutes": fields.integer("minutes", None, least=-MINUTES, most=MINUTES),
        }
        fields.done()
        return Response(request_body(services.ask(person=request.user, **said)), status=201)


# Everybody's


class Payroll(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll", parameters=[SINCE, UNTIL, AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """People by user name: time, earned and paid in the period, what an hour came to, owed by now, warnings."""
        asked = request.query_params
        period = _read_period(asked)
        page = queries.earners_page(period, after=asked.get("after"))
        return Response(
            {
                **settings_body(queries.pay_settings()),
                "since": period.since.isoformat(),
                "until": period.until.isoformat(),
                "people": [earner_body(one) for one in page],
                "next": page.next,
            }
        )


class PayrollFile(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_csv", parameters=[SINCE, UNTIL], responses=CSV)
    def get(self, request) -> HttpResponseBase:
        """The people of a period as CSV."""
        period = _read_period(request.query_params)
        return csv_response(queries.EARNER_COLUMNS, queries.earner_rows(period), name="pay")


class Warned(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_warnings", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Who has no rate, and whose hour comes to less than the floor, of the last 28 days."""
        no_rate, below = queries.warned()
        return Response(
            {"no_rate": [earner_body(one) for one in no_rate], "below_floor": [earner_body(one) for one in below]}
        )


class Settings(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_settings", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """The currency, and the least for an hour below which pages warn; 0 for none."""
        return Response(settings_body(queries.pay_settings()))

    @extend_schema(
        operation_id="payroll_settings_change",
        request=sent(
            {
                "currency": {"enum": sorted(CURRENCIES)},
                "floor": {"type": "integer", "minimum": 0, "maximum": services.MOST_PER_HOUR},
            },
            [],
        ),
        responses=OpenApiTypes.OBJECT,
    )
    def patch(self, request) -> Response:
        """Change either. The currency stays once there is a rate or an entry."""
        held, fields = queries.pay_settings(), Fields(request.data)
        said = {
            "currency": fields.text("currency", held.currency),
            "floor": fields.integer("floor", held.floor, least=0, most=services.MOST_PER_HOUR),
        }
        fields.done()
        return Response(settings_body(services.change_settings(**said, actor=request.user)))


class Ledger(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_ledger",
        parameters=[
            OpenApiParameter("since", date, description="First day."),
            OpenApiParameter("until", date, description="Last day."),
            OpenApiParameter("person", int, description="Number of one person."),
            AFTER,
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request) -> Response:
        """Entries of all, newest day first, each with its person."""
        page = queries.ledger_page(_ledger(request.query_params), after=request.query_params.get("after"))
        entries = [
            {"person": entry.person_id, "user_name": entry.person.username, **entry_body(entry)} for entry in page
        ]
        return Response({"currency": queries.pay_settings().currency, "entries": entries, "next": page.next})


class LedgerFile(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_ledger_csv",
        parameters=[
            OpenApiParameter("since", date, description="First day."),
            OpenApiParameter("until", date, description="Last day."),
            OpenApiParameter("person", int, description="Number of one person."),
        ],
        responses=CSV,
    )
    def get(self, request) -> HttpResponseBase:
        """The same as CSV, oldest day first."""
        rows = queries.ledger_rows(_ledger(request.query_params))
        return csv_response(queries.LEDGER_COLUMNS, rows, name="ledger")


# One person's


class Person(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_person", parameters=[SINCE, UNTIL], responses=OpenApiTypes.OBJECT)
    def get(self, request, user_id: int) -> Response:
        """Where somebody's pay stands, what an hour came to in the period, their rates, hours by week and questions.
        Their entries are at `payroll/ledger/?person=`."""
        person = queries.get_payable(user_id)
        return Response(
            {
                "person": person.pk,
                "user_name": person.username,
                **standing_body(person, _read_period(request.query_params)),
                "rates": [rate_body(rate) for rate in queries.rates_of(person)],
                "weeks": _weeks(person),
                "requests": [request_body(held) for held in queries.requests_of(person, limit=ASKED)],
            }
        )


class Rates(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_rate_set",
        request=sent(
            {
                "valid_from": DAY,
                "per_hour": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": services.MOST_PER_HOUR,
                    "nullable": True,
                    "description": "minor units; null for no rate from this day on",
                },
            },
            ["valid_from", "per_hour"],
        ),
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request, user_id: int) -> Response:
        """Set what an hour of theirs is worth from a day on, until the day of the next rate."""
        fields = Fields(request.data)
        valid_from, per_hour = _day_in(fields, "valid_from"), fields.any("per_hour")
        if per_hour is not None:
            per_hour = fields.integer("per_hour", least=1, most=services.MOST_PER_HOUR)
        fields.done()
        made = services.set_rate(user_id=user_id, valid_from=valid_from, per_hour=per_hour, actor=request.user)
        return Response(rate_body(made), status=201)


class OneRate(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_rate_take_back", responses={204: None})
    def delete(self, request, user_id: int, rate_id: int) -> Response:
        """Take back a rate on which no entry rests."""
        services.take_back_rate(rate_id=rate_id, user_id=user_id, actor=request.user)
        return Response(status=204)


class Corrections(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_correct",
        parameters=[KEY],
        request=sent({"day": DAY, "seconds": SECONDS, "amount": AMOUNT, "reason": REASON}, ["day", "reason"]),
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request, user_id: int) -> Response:
        """Enter time, at the rate of its day, or an amount; one of the two, below zero to take away."""
        fields = Fields(request.data)
        said = {"day": _day_in(fields, "day"), "reason": fields.text("reason"), **_change_in(fields)}
        fields.done()
        key = request.headers.get("Idempotency-Key")
        return Response(entry_body(services.correct(user_id=user_id, actor=request.user, key=key, **said)), status=201)


class Payments(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_pay",
        request=sent(
            {
                "amount": {**AMOUNT, "minimum": 1},
                "reference": {
                    "type": "string",
                    "maxLength": services.REFERENCE_CHARACTERS,
                    "description": "once in a person's ledger: the same payment sent again is that one",
                },
                "period_from": DAY,
                "period_until": DAY,
                "paid_on": {**DAY, "description": "today, where left out"},
                "note": REASON,
            },
            ["amount", "reference", "period_from", "period_until"],
        ),
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request, user_id: int) -> Response:
        """Write down that somebody was paid. It pays nothing itself."""
        fields = Fields(request.data)
        said = {
            "amount": fields.integer("amount", least=1, most=MOST),
            "reference": fields.text("reference"),
            "period_from": _day_in(fields, "period_from"),
            "period_until": _day_in(fields, "period_until"),
            "paid_on": _day_in(fields, "paid_on", None) or queries.today(),
            "note": fields.text("note", ""),
        }
        fields.done()
        made = services.enter_payment(user_id=user_id, actor=request.user, **said)
        return Response(entry_body(made), status=201)


# What was asked


class Requests(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="payroll_requests",
        parameters=[
            OpenApiParameter("state", str, enum=["open", "all"], description="open, where left out."),
            AFTER,
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request) -> Response:
        """What waits for an answer, oldest first; or all of it, newest first."""
        state = request.query_params.get("state", "open")
        if state not in ("open", "all"):
            raise Refusal(_("`state` must be open or all."))
        page = queries.inbox_page(open_only=state == "open", after=request.query_params.get("after"))
        return Response({"requests": [_asked_body(held) for held in page], "next": page.next})


class OneRequest(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="payroll_request", responses=OpenApiTypes.OBJECT)
    def get(self, request, request_id) -> Response:
        """One question, or correction that was asked for."""
        return Response(_asked_body(queries.get_request(request_id)))

    @extend_schema(
        operation_id="payroll_request_decide",
        request=sent(
            {
                "do": {"enum": ["answer", "accept", "decline"]},
                "text": {
                    "type": "string",
                    "maxLength": services.TEXT_CHARACTERS,
                    "description": "the answer, or why: the person reads it",
                },
                "seconds": {**SECONDS, "description": "to accept: time on its day"},
                "amount": {**AMOUNT, "description": "to accept: or an amount, in minor units"},
            },
            ["do", "text"],
        ),
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request, request_id) -> Response:
        """Answer a question; accept a correction, which enters it, or decline it."""
        fields = Fields(request.data)
        do, text = fields.text("do"), fields.text("text", longest=services.TEXT_CHARACTERS)
        change = _change_in(fields) if do == "accept" else {}
        fields.done()
        if do == "answer":
            services.answer(request_id=request_id, text=text, actor=request.user)
        elif do == "accept":
            services.accept(request_id=request_id, reason=text, actor=request.user, **change)
        elif do == "decline":
            services.decline(request_id=request_id, reason=text, actor=request.user)
        else:
            raise Refusal(_("`do` must be answer, accept or decline."))
        return Response(_asked_body(queries.get_request(request_id)))


def _asked_body(held: PayRequest) -> dict:
    by = held.decided_by.username if held.decided_by_id else None
    return {"person": held.person_id, "user_name": held.person.username, **request_body(held), "decided_by": by}


def _weeks(person) -> list[dict]:
    return [
        dict(zip(WEEK_COLUMNS, (monday.isoformat(), seconds), strict=True))
        for monday, seconds in queries.hours_by_week(person)
    ]


# Reading what is asked


def _ledger(asked):
    since, until = _read_day(asked, "since"), _read_day(asked, "until")
    return queries.ledger_in(since=since, until=until, person=_read_person(asked))


def _read_period(asked) -> queries.Period:
    return queries.read_period(_read_day(asked, "since"), _read_day(asked, "until"))


def _read_day(asked, name: str) -> date | None:
    text = asked.get(name)
    return _day(text, name) if text else None


def _day(text: Any, name: str) -> date:
    try:
        day = date.fromisoformat(text)
        if not 2000 <= day.year <= 9000:
            raise ValueError(text)
    except (TypeError, ValueError):
        raise Refusal(_("`{name}` must be a day, such as 2026-01-31.").format(name=name)) from None
    return day


def _day_in(fields: Fields, name: str, *default: None) -> date | None:
    text = fields.text(name, *default)
    return None if text is None else _day(text, name)


def _change_in(fields: Fields) -> dict[str, int | None]:
    return {
        "seconds": fields.integer("seconds", None, least=-services.MOST_SECONDS, most=services.MOST_SECONDS),
        "amount": fields.integer("amount", None, least=-MOST, most=MOST),
    }


def _read_person(asked) -> int | None:
    text = asked.get("person", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:12]) < LARGEST):
        raise Refusal(_("`person` must be the number of a person."))
    return int(text)
