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
        "form": held.form.name if held.form else None,
        "tolerance": held.tolerance,
        "created_at": held.created_at.isoformat(),
    }


def alert_body(alert: CheckAlert) -> dict:
    return {
        "id": str(alert.pk),
        "labeler": alert.labeler_id,
        "measure": alert.measure,
        "week": alert.week.isoformat(),
        "reasons": alert.reasons,
        "agreed": alert.agreed,
        "compared": alert.compared,
        "usual": alert.usual,
        "limit": alert.limit,
        "shift": alert.shift,
        "created_at": alert.created_at.isoformat(),
        "acknowledged_by": alert.acknowledged_by and alert.acknowledged_by.username,
        "acknowledged_at": alert.acknowledged_at and alert.acknowledged_at.isoformat(),
        "note": alert.note,
        "told_at": alert.told.created_at.isoformat() if alert.told else None,
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
                    "batch": {"type": "integer", "description": "whose tasks researchers have answered"},
                    "researchers": {"type": "integer", "minimum": 1, "default": 1},
                    "tolerance": {
                        "type": "integer",
                        "minimum": 0,
                        "maximum": services.MOST_TOLERANCE,
                        "default": 1,
                        "description": "points between two ratings that agree",
                    },
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
            "tolerance": fields.integer("tolerance", 1, least=0, most=services.MOST_TOLERANCE),
            "groups": fields.texts("groups", ["training", "held_out"]),
            "exported": fields.flag("exported", False),
        }
        fields.done()
        return Response(set_body(services.make_set(**asked, actor=request.user)), status=201)


class OneSet(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="check_set", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, set_id) -> Response:
        """A set with its items: what of each is gold, how many answers it has, and how many pairs, ratings and flags
        agree, of those compared."""
        held = queries.get_set(set_id)
        page = queries.items_page(held, after=request.GET.get("after"))
        items = [
            {
                "task": str(item.task_id),
                "pairs": len(item.pairs),
                "ratings": len(item.ratings),
                "flags": sum(len(flags) for flags in item.flags.values()),
                "researchers": len(item.rankings),
                "answers": item.answers,
                **{name: getattr(item, name) or 0 for names in queries.SHARES.values() for name in names},
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
        """One labeler's control charts, a line for each measure and week, and their checks, newest first.

        `measure` is pairs, ratings, flags, or leniency, whose figures but `agreed` and `compared` are points."""
        labeler = request.GET.get("labeler", "")
        if not (labeler.isascii() and labeler.isdecimal()) or len(labeler) > 18:
            raise NotFound(_("Name a labeler by number in `labeler`."))
        person = queries.get_labeler(int(labeler))
        page = queries.results_page(person, after=request.GET.get("after"))
        weeks = [
            {
                "measure": str(measure),
                "week": week.week.isoformat(),
                **{name: getattr(week, name) for name in ("checks", "agreed", "compared", "shift", "usual", "own")},
                **{name: getattr(week, name) for name in ("limit", "upper", "average", "average_limit", "reasons")},
            }
            for measure, weeks in queries.charts_of(person).items()
            for week in weeks
        ]
        results = [
            {
                "id": result.pk,
                "set": str(result.item.check_set_id),
                "task": str(result.item.task_id),
                "kind": result.turn.kind,
                "answered_at": result.answered_at.isoformat(),
                **{name: getattr(result, name) for names in queries.SHARES.values() for name in names},
                **{name: getattr(result, name) for name in ("rating_shift", "same", "same_of")},
                **{name: getattr(result, name) for name in ("ratings_same", "ratings_same_of", "rating_moved")},
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


class Tell(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="check_alert_tell",
        request={
            "application/json": {
                "type": "object",
                "properties": {"text": {"type": "string", "maxLength": services.WORD_CHARACTERS}},
            }
        },
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request: Request, alert_id) -> Response:
        """Send the labeler a word: `text`, or without it a kind neutral sentence in their language. Once."""
        fields = Fields(request.data)
        text = fields.text("text", None, longest=services.WORD_CHARACTERS)
        fields.done()
        if text is None:
            text = queries.kind_word(queries.get_alert(alert_id).labeler)
        return Response(alert_body(services.tell_labeler(alert_id=alert_id, text=text, actor=request.user)))
