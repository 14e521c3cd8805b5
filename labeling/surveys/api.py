"""Survey rounds over HTTP, for staff: open one, list them, fetch what may be shown. Answers come by the page."""

from __future__ import annotations

from datetime import date

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.refusals import Refusal
from labeling.surveys import queries, services
from labeling.surveys.built_in import BUILT_IN
from labeling.surveys.models import SurveyRound

COUNT = {"type": ["integer", "null"], "description": "null where it is not shown"}
ROUND = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "questionnaire": {"enum": list(BUILT_IN)},
        "version": {"type": "integer"},
        "title": {"type": "string"},
        "groups": {"type": "array", "items": {"enum": [group.value for group in services.GROUPS]}},
        "minimum": {"type": "integer", "description": "fewer people than this are never shown as a number"},
        "created_at": {"type": "string", "format": "date-time"},
        "closes_at": {"type": "string", "format": "date-time"},
        "closed_at": {"type": ["string", "null"], "format": "date-time"},
        "answered": COUNT,
        "withheld": {
            "enum": ["", "too_few", "too_alike", None],
            "description": "why there are no tables; null while it is open",
        },
        "tables": {
            "type": "array",
            "description": "empty while it is open",
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "question": {"type": "string"},
                    "rows": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {
                                "answer": {"type": "string"},
                                "count": COUNT,
                                "share": {"type": ["number", "null"]},
                            },
                        },
                    },
                },
            },
        },
    },
}


def round_body(held: SurveyRound) -> dict:
    return {
        "id": str(held.pk),
        "questionnaire": held.questionnaire.name,
        "version": held.questionnaire.version,
        "title": held.title,
        "groups": held.groups,
        "minimum": held.minimum,
        "created_at": held.created_at.isoformat(),
        "closes_at": held.closes_at.isoformat(),
        "closed_at": held.closed_at.isoformat() if held.closed_at else None,
        "answered": queries.answers_so_far(held),
        "withheld": held.report["withheld"] if held.report else None,
        "tables": [
            {
                "name": table.name,
                "question": table.label,
                "rows": [{"answer": row.label, "count": row.count, "share": row.share} for row in table.rows],
            }
            for table in queries.tables_of(held)
        ],
    }


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refusal(_("`closes_on` must be a day, such as 2026-01-31.")) from None


class Rounds(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(
        operation_id="survey_rounds",
        parameters=[OpenApiParameter("after", str, description="`next` of the page before")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request) -> Response:
        """Rounds, newest first: `{"rounds": […], "next": …}`."""
        page = queries.rounds_page(after=request.GET.get("after"))
        return Response({"rounds": [round_body(held) for held in page], "next": page.next})

    @extend_schema(
        operation_id="survey_round_open",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "questionnaire": {"enum": list(BUILT_IN)},
                    "title": {"type": "string", "maxLength": services.TITLE_CHARACTERS},
                    "groups": {"type": "array", "items": {"enum": [group.value for group in services.GROUPS]}},
                    "closes_on": {"type": "string", "format": "date", "description": "the last day"},
                },
                "required": ["questionnaire", "title", "groups", "closes_on"],
            }
        },
        responses={201: ROUND},
    )
    def post(self, request) -> Response:
        """Open a round."""
        fields = Fields(request.data)
        asked = {
            "questionnaire": fields.text("questionnaire"),
            "title": fields.text("title"),
            "groups": fields.texts("groups"),
            "closes_on": _read_day(fields.text("closes_on")),
        }
        fields.done()
        return Response(round_body(services.open_round(**asked, actor=request.user)), status=201)


class OneRound(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="survey_round", responses={200: ROUND})
    def get(self, request, round_id) -> Response:
        """One round, with its results once it is closed."""
        return Response(round_body(queries.get_round(round_id)))


class CloseRound(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="survey_round_close", request=None, responses={200: ROUND})
    def post(self, request, round_id) -> Response:
        """Close a round now; its results are made, once."""
        return Response(round_body(services.close_round(round_id=round_id, actor=request.user)))
