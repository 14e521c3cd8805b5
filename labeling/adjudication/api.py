"""Disagreement over HTTP, for staff. Who decides answers over `tasks/<id>/submit/`, as for any task."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.adjudication import queries, services
from labeling.adjudication.models import MOST_SEATS, AdjudicationCase, AdjudicationRequest, AdjudicationRule
from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.people.models import User
from labeling.sampling.services import get_batch

STATES = AdjudicationCase.State.values
FIGURES = {
    "threshold": {"type": "integer", "minimum": 0, "maximum": 99, "description": "percent; more is acted upon"},
    "seats": {"type": "integer", "minimum": 1, "maximum": MOST_SEATS, "description": "more labelers at a time"},
    "most": {"type": "integer", "minimum": 1, "maximum": MOST_SEATS, "description": "more labelers in all"},
}


def _rule(more: tuple[str, ...] = ()) -> dict:
    policies = {"policy": {"enum": [*more, *AdjudicationRule.Policy.values]}}
    return {"application/json": {"type": "object", "properties": {**policies, **FIGURES}, "required": ["policy"]}}


class WhoDecides(IsAuthenticated):
    """Researchers alone: admins take no tasks."""

    def has_permission(self, request, view) -> bool:
        return super().has_permission(request, view) and request.user.role == User.Role.RESEARCHER


class Cases(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="adjudication_cases",
        parameters=[
            OpenApiParameter("state", str, enum=STATES),
            OpenApiParameter("batch", str, description="id of a batch"),
            OpenApiParameter("after", str, description="`next` of the page before"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request) -> Response:
        """Tasks whose answers were compared: `{"results": […], "next": …, "shares": {…}}`, the latest look first."""
        named = request.GET.get("batch", "")
        batch = get_batch(named) if named else None
        page = queries.cases_page(state=request.GET.get("state", ""), batch=batch, after=request.GET.get("after"))
        shares = queries.shares(batch)
        return Response(
            {
                "results": [queries.case_body(case) for case in page],
                "next": page.next,
                "shares": {
                    **{name: getattr(shares, name) for name in ("looked", "more", "waiting", "contested", "decided")},
                    "adjudicated": shares.share,
                },
            }
        )


class OneCase(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="adjudication_case", responses=OpenApiTypes.OBJECT)
    def get(self, request, task_id) -> Response:
        """One task with its answers, by nobody's name, what was found, and the outcome. `answers` is null for a
        researcher who may yet decide and has not revealed them."""
        return Response(queries.task_body(services.get_task(task_id), request.user))


class TakeCase(APIView):
    permission_classes = [WhoDecides]

    @extend_schema(operation_id="adjudication_take", request=None, responses={200: OpenApiTypes.OBJECT})
    def post(self, request, task_id) -> Response:
        """Sit down to decide: `{"task": id}` of a task as `tasks/<id>/` has it. 409 where somebody else does."""
        return Response({"task": str(services.take_case(task_id=task_id, researcher=request.user).pk)})


class RevealCase(APIView):
    permission_classes = [WhoDecides]

    @extend_schema(operation_id="adjudication_reveal", request=None, responses={200: OpenApiTypes.OBJECT})
    def post(self, request, task_id) -> Response:
        """Show the labelers' answers to who decides, and keep that they were shown."""
        task = services.get_task(task_id)
        services.reveal_task(task=task, researcher=request.user)
        return Response(queries.task_body(task, request.user))


def _read_rule(data) -> dict:
    fields, usual = Fields(data), services.Rule()
    read = {"policy": fields.text("policy", longest=40)}
    read["threshold"] = fields.integer("threshold", usual.threshold, least=0, most=99)
    read["seats"] = fields.integer("seats", usual.seats, least=1, most=MOST_SEATS)
    read["most"] = fields.integer("most", max(usual.most, read["seats"]), least=1, most=MOST_SEATS)
    fields.done()
    return read


def _rule_body(rule: services.Rule, **more: object) -> dict:
    return {**{name: getattr(rule, name) for name in ("policy", "threshold", "seats", "most")}, **more}


class TeamRule(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="adjudication_team_rule", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """What happens where labelers disagree, in batches without a rule of their own."""
        return Response(_rule_body(queries.team_rule()))

    @extend_schema(operation_id="adjudication_team_rule_set", request=_rule(), responses={200: OpenApiTypes.OBJECT})
    def post(self, request) -> Response:
        """Set it; a job looks at the answers that are there."""
        services.set_rule(batch=None, actor=request.user, **_read_rule(request.data))
        return Response(_rule_body(queries.team_rule()))


class BatchRule(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="adjudication_batch_rule", responses=OpenApiTypes.OBJECT)
    def get(self, request, batch_id) -> Response:
        """The rule that holds for a batch, and whether it is its `own`."""
        rule, own = queries.rule_of(get_batch(batch_id))
        return Response(_rule_body(rule, own=own))

    @extend_schema(
        operation_id="adjudication_batch_rule_set", request=_rule(("team",)), responses={200: OpenApiTypes.OBJECT}
    )
    def post(self, request, batch_id) -> Response:
        """Set it; the policy "team" takes the batch's own away. A job looks at the answers that are there."""
        batch = get_batch(batch_id)
        read = _read_rule(request.data)
        if read["policy"] == "team":
            services.clear_rule(batch=batch, actor=request.user)
        else:
            services.set_rule(batch=batch, actor=request.user, **read)
        rule, own = queries.rule_of(batch)
        return Response(_rule_body(rule, own=own))


class SendCase(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="adjudication_send",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "to": {"enum": AdjudicationRequest.To.values},
                    "seats": {"type": "integer", "minimum": 1, "maximum": MOST_SEATS, "description": "of labelers"},
                    "reason": {"type": "string", "maxLength": services.REASON_CHARACTERS},
                },
                "required": ["to", "reason"],
            }
        },
        responses={200: OpenApiTypes.OBJECT},
    )
    def post(self, request, task_id) -> Response:
        """Send one task to a researcher, who decides, or to more labelers, whatever its answers say."""
        fields = Fields(request.data)
        asked = {
            "to": fields.text("to"),
            "reason": fields.text("reason", longest=services.REASON_CHARACTERS),
            "seats": fields.integer("seats", 1, least=1, most=MOST_SEATS),
        }
        fields.done()
        return Response(queries.case_body(services.send_by_hand(task_id=task_id, actor=request.user, **asked)))
