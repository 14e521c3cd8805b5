"""Hidden checks over HTTP, for staff: sets, results, alerts."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.checks import queries, services
from labeling.checks.models import CheckAlert, CheckSet
from labeling.fields import Fields
from labeling.refusals import NotFound
from labeling.sampling.services import get_batch

AFTER = OpenApiParameter("after", str, description="`next` of the page before")


def set_body(held: CheckSet) -> dict:
    return {
        "id": str(held.pk),
        "name": held.name,
        "groups": held.groups,
        "active": held.active,
        "exported": held.exported,
        "created_at": held.created_at.isoformat(),
    }


def alert_body(alert: CheckAlert) -> dict:
    return {
        "id": str(alert.pk),
        "labeler": alert.labeler_id,
        "week": alert.week.isoformat(),
        "reasons": alert.reasons,
        "agreed": alert.agreed,
        "compared": alert.compared,
        "usual": alert.usual,
        "limit": alert.limit,
        "created_at": alert.created_at.isoformat(),
        "acknowledged_by": alert.acknowledged_by and alert.acknowledged_by.username,
        "acknowledged_at": alert.acknowledged_at and alert.acknowledged_at.isoformat(),
        "note": alert.note,
    }


class Sets(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="check_sets", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Check sets, newest first: `{"results": […], "next": …}`."""
        page = queries.sets_page(after=request.GET.get("after"))
        return Response({"results": [set_body(held) | {"items": held.size} for held in page], "next": page.next})

    @extend_schema(
        operation_id="check_set_make",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "maxLength": services.NAME_CHARACTERS},
                    "batch": {"type": "integer", "description": "whose tasks researchers have ranked"},
                    "researchers": {"type": "integer", "minimum": 1, "default": 1},
                    "groups": {"type": "array", "items": {"enum": [group.value for group in services.GROUPS]}},
                    "exported": {"type": "boolean", "default": False},
                },
                "required": ["name", "batch"],
            }
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Make a set of what researchers answered in a batch."""
        fields = Fields(request.data)
        asked = {
            "name": fields.text("name"),
            "batch": get_batch(fields.integer("batch", least=1, most=2**63 - 1)),
            "researchers": fields.integer("researchers", 1, least=1, most=20),
            "groups": fields.texts("groups", ["training", "held_out"]),
            "exported": fields.flag("exported", False),
        }
        fields.done()
        return Response(set_body(services.make_set(**asked, actor=request.user)), status=201)


class OneSet(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="check_set", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, set_id) -> Response:
        """A set with its items: how many answers each has, and pairs that agree of those compared."""
        held = queries.get_set(set_id)
        page = queries.items_page(held, after=request.GET.get("after"))
        items = [
            {
                "task": str(item.task_id),
                "pairs": len(item.pairs),
                "researchers": len(item.rankings),
                "answers": item.answers,
                "agreed": item.agreed or 0,
                "compared": item.compared or 0,
            }
            for item in page
        ]
        return Response(set_body(held) | {"items": items, "next": page.next})

    @extend_schema(
        operation_id="check_set_switch",
        request={"application/json": {"type": "object", "properties": {"active": {"type": "boolean"}}}},
        responses=OpenApiTypes.OBJECT,
    )
    def patch(self, request: Request, set_id) -> Response:
        """Switch a set on or off."""
        fields = Fields(request.data)
        active = fields.flag("active")
        fields.done()
        return Response(set_body(services.switch_set(set_id=set_id, active=active, actor=request.user)))


class Results(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="check_results",
        parameters=[OpenApiParameter("labeler", int, required=True, description="whose"), AFTER],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """One labeler's control chart by week, and their checks, newest first."""
        labeler = request.GET.get("labeler", "")
        if not (labeler.isascii() and labeler.isdecimal()) or len(labeler) > 18:
            raise NotFound(_("Name a labeler by number in `labeler`."))
        person = queries.get_labeler(int(labeler))
        page = queries.results_page(person, after=request.GET.get("after"))
        weeks = [
            {
                **{name: getattr(week, name) for name in ("checks", "agreed", "compared", "usual", "own", "limit")},
                **{name: getattr(week, name) for name in ("upper", "average", "average_limit", "reasons")},
                "week": week.week.isoformat(),
            }
            for week in queries.chart_of(person)
        ]
        results = [
            {
                "id": result.pk,
                "set": str(result.item.check_set_id),
                "task": str(result.item.task_id),
                "kind": result.turn.kind,
                "answered_at": result.answered_at.isoformat(),
                **{name: getattr(result, name) for name in ("agreed", "compared", "same", "same_of")},
            }
            for result in page
        ]
        return Response({"labeler": person.pk, "weeks": weeks, "results": results, "next": page.next})


class Alerts(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="check_alerts",
        parameters=[OpenApiParameter("waiting", bool, description="1: those that nobody acknowledged"), AFTER],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Alerts, newest first: `{"results": […], "next": …}`."""
        waiting = request.GET.get("waiting", "").lower() in ("1", "true", "yes")
        page = queries.alerts_page(after=request.GET.get("after"), waiting=waiting)
        return Response({"results": [alert_body(alert) for alert in page], "next": page.next})


class Acknowledge(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="check_alert_acknowledge",
        request={
            "application/json": {
                "type": "object",
                "properties": {"note": {"type": "string", "maxLength": services.NOTE_CHARACTERS}},
                "required": ["note"],
            }
        },
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request, alert_id) -> Response:
        """Say what was found or done."""
        fields = Fields(request.data)
        note = fields.text("note")
        fields.done()
        return Response(alert_body(services.acknowledge(alert_id=alert_id, note=note, actor=request.user)))
