"""Pay over HTTP: to labelers their own, to admins the ledger of all. Amounts are whole minor units of the currency."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsLabeler
from labeling.pay import queries
from labeling.pay.models import LedgerEntry
from labeling.refusals import Refusal

AFTER = OpenApiParameter("after", str, description="`next` of the page before.")
LARGEST = 2**31


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
        "period_from": entry.period_from.isoformat() if entry.period_from else None,
        "period_until": entry.period_until.isoformat() if entry.period_until else None,
        "entered_at": entry.created_at.isoformat(),
    }


class OwnPay(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="pay", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """What you are owed, your rate, and your ledger, newest day first. `pending_seconds` are not entered yet."""
        standing = queries.standing_of(request.user)
        page = queries.ledger_page(queries.ledger_of(request.user), after=request.query_params.get("after"))
        return Response(
            {
                "currency": standing.currency,
                "balance": standing.balance,
                "earned": standing.earned,
                "paid": standing.paid,
                "per_hour": standing.rate.per_hour if standing.rate else None,
                "active_seconds": standing.seconds,
                "pending_seconds": standing.pending,
                "entries": [entry_body(entry) for entry in page],
                "next": page.next,
            }
        )


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
        asked = request.query_params
        rows = queries.ledger_in(
            since=_read_day(asked, "since"), until=_read_day(asked, "until"), person=_read_person(asked)
        )
        page = queries.ledger_page(rows, after=asked.get("after"))
        entries = [
            {"person": entry.person_id, "user_name": entry.person.username, **entry_body(entry)} for entry in page
        ]
        return Response({"currency": queries.pay_settings().currency, "entries": entries, "next": page.next})


def _read_day(asked, name: str) -> date | None:
    text = asked.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(_("`{name}` must be a day, such as 2026-01-31.").format(name=name)) from None


def _read_person(asked) -> int | None:
    text = asked.get("person", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:12]) < LARGEST):
        raise Refusal(_("`person` must be the number of a person."))
    return int(text)
