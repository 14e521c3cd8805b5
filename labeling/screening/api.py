"""Screening over HTTP, for staff. Applicants answer over `tasks/`, as every labeler does."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.refusals import NotAllowed
from labeling.screening import queries, services
from labeling.screening.models import Application, Gate, ScreeningDecision, ScreeningRound, Topic
from labeling.screening.statistics import Figure

AFTER = OpenApiParameter("after", str, description="`next` of the page before")
NUMBER = {"type": ["number", "null"]}
ROUND = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "state": {"enum": [str(state) for state in ScreeningRound.State]},
        "flags_cutoff": {"type": "number", "description": "share of agreement, 0 to 1"},
        "rankings_cutoff": {"type": "number", "description": "share of agreement, 0 to 1"},
        "grade_cutoff": {"type": "number", "description": "mean grade, 1 to 7"},
        "researchers": {"type": "integer"},
        "graders": {"type": "integer"},
    },
}
STEPS = {"type": "array", "items": {"type": "object", "properties": {"gate": {}, "done": {}, "total": {}}}}
FIGURE = {
    "type": "object",
    "properties": {
        "gate": {"enum": list(Gate.values)},
        "value": NUMBER,
        "ci95": {"type": "array", "items": NUMBER},
        "method": {"enum": ["clustered", "wilson", ""]},
        "count": {"type": "integer"},
        "items": {"type": "integer"},
        "cutoff": {"type": "number"},
        "reached": {"type": ["boolean", "null"], "description": "a mark, and no decision"},
    },
}
DECISION = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "outcome": {"enum": ScreeningDecision.Outcome.values},
        "reason": {"type": "string"},
        "message": {"type": "string"},
        "revises": {"type": ["string", "null"], "format": "uuid"},
        "decided_at": {"type": "string", "format": "date-time"},
    },
}
APPLICANT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "code": {"type": "string", "description": "says nothing of who it is"},
        "outcome": {"type": "string"},
        "steps": STEPS,
        "gates": {"type": "array", "items": FIGURE},
        "topics": {"type": "object", "additionalProperties": {"type": ["boolean", "null"]}},
        "decisions": {"type": "array", "items": DECISION},
    },
}
DEMONSTRATION = {
    "type": "object",
    "properties": {
        "waiting": {"type": "integer"},
        "id": {"type": ["string", "null"], "format": "uuid", "description": "null where nothing waits"},
        "messages": {"type": "array", "items": {"type": "object"}},
        "text": {"type": "string"},
    },
}


def round_body(held: ScreeningRound) -> dict:
    names = ("id", "name", "state", "flags_cutoff", "rankings_cutoff", "grade_cutoff", "researchers", "graders")
    return {name: getattr(held, name) for name in names}


def figure_body(figure: Figure) -> dict:
    return {
        "value": figure.value,
        "ci95": [figure.low, figure.high],
        "method": figure.method,
        "count": figure.count,
        "items": figure.items,
    }


def steps_body(steps: list[queries.Step]) -> list[dict]:
    return [{"gate": step.gate, "done": step.done, "total": step.total} for step in steps]


def decision_body(decision: ScreeningDecision) -> dict:
    return {
        "id": str(decision.pk),
        "outcome": decision.outcome,
        "reason": decision.reason,
        "message": decision.message,
        "revises": str(decision.revises_id) if decision.revises_id else None,
        "decided_at": decision.decided_at.isoformat(),
    }


def applicant_body(application: Application) -> dict:
    report = queries.report_on(application)
    return {
        "id": str(application.pk),
        "code": application.code,
        "outcome": application.outcome,
        "steps": steps_body(report.steps),
        "gates": [
            {"gate": gate.gate, **figure_body(gate.figure), "cutoff": gate.cutoff, "reached": gate.reached}
            for gate in report.gates
        ],
        "topics": dict(report.topics),
        "decisions": [decision_body(one) for one in queries.decisions_of(application)],
    }


class Rounds(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="screening_rounds", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Rounds, newest first: `{"rounds": […], "next": …}`."""
        page = queries.rounds_page(after=request.GET.get("after"))
        return Response({"rounds": [round_body(held) for held in page], "next": page.next})

    @extend_schema(
        operation_id="screening_round_create",
        request={"application/json": {**ROUND, "required": ["name"]}},
        responses={201: ROUND},
    )
    def post(self, request) -> Response:
        """An empty draft; add items to each gate, then open it."""
        fields = Fields(request.data)
        asked = {"name": fields.text("name")}
        for name, default in (("flags_cutoff", 0.75), ("rankings_cutoff", 0.75), ("grade_cutoff", 6.0)):
            asked[name] = fields.number(name, default)
        for name, (least, most) in services.COUNTS.items():
            asked[name] = fields.integer(name, 2, least=least, most=most)
        fields.done()
        return Response(round_body(services.create_round(**asked, actor=request.user)), status=201)


class OneRound(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "PATCH" else IsResearcher()]

    @extend_schema(operation_id="screening_round", responses={200: ROUND})
    def get(self, request, screening_id: int) -> Response:
        """One round, with its items by gate."""
        held = queries.get_round(screening_id)
        listed = [
            {
                "id": item.pk,
                "gate": item.gate,
                "prompt": str(item.prompt_id),
                "answers": item.answers,
                "note": item.note,
            }
            for item in queries.items_of(held)
        ]
        return Response({**round_body(held), "items": listed})

    @extend_schema(
        operation_id="screening_cutoffs",
        request={"application/json": {"type": "object", "properties": dict.fromkeys(services.FIGURES, NUMBER)}},
        responses={200: ROUND},
    )
    def patch(self, request, screening_id: int) -> Response:
        """Other cut-offs. They mark results, and decide nothing."""
        fields = Fields(request.data)
        given = {name: fields.number(name, None) for name in services.FIGURES}
        fields.done()
        given = {name: value for name, value in given.items() if value is not None}
        return Response(round_body(services.set_cutoffs(round_id=screening_id, actor=request.user, **given)))


class Items(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="screening_items_add",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "gate": {"enum": list(Gate.values)},
                    "ids": {
                        "type": "array",
                        "items": {"type": "string"},
                        "description": "ids of batch items for gates 1 and 2, of prompts for gate 3",
                    },
                },
                "required": ["gate", "ids"],
            }
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request, screening_id: int) -> Response:
        """Take real items into a draft."""
        fields = Fields(request.data)
        asked = {"gate": fields.integer("gate", least=1, most=3), "ids": fields.texts("ids")}
        fields.done()
        made = services.add_items(round_id=screening_id, **asked, actor=request.user)
        return Response({"added": len(made)}, status=201)


class OpenRound(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="screening_round_open", request=None, responses={200: ROUND})
    def post(self, request, screening_id: int) -> Response:
        """Open the round: its tasks are made, and applicants may be invited."""
        return Response(round_body(services.open_round(round_id=screening_id, actor=request.user)))


class CloseRound(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="screening_round_close", request=None, responses={200: ROUND})
    def post(self, request, screening_id: int) -> Response:
        """Close the round: nobody gets a task of it any more."""
        return Response(round_body(services.close_round(round_id=screening_id, actor=request.user)))


class Invitations(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="screening_invite",
        request={
            "application/json": {
                "type": "object",
                "properties": {"days": {"type": "integer"}, "note": {"type": "string"}},
            }
        },
        responses={201: {"type": "object", "properties": {"link": {"type": "string"}}}},
    )
    def post(self, request, screening_id: int) -> Response:
        """The link that opens one applicant's account, shown this once."""
        fields = Fields(request.data)
        asked = {"days": fields.integer("days", 14, least=1, most=90), "note": fields.text("note", "")}
        fields.done()
        _application, token = services.invite(round_id=screening_id, **asked, actor=request.user)
        return Response({"link": request.build_absolute_uri(reverse("invitation-accept", args=[token]))}, status=201)


class Applicants(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="screening_applicants", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request, screening_id: int) -> Response:
        """Who has come, by code, and how far they are: `{"applicants": […], "next": …}`."""
        page = queries.applications_page(queries.get_round(screening_id), after=request.GET.get("after"))
        listed = [
            {"id": str(one.pk), "code": one.code, "outcome": one.outcome, "steps": steps_body(one.steps)}
            for one in page
        ]
        return Response({"applicants": listed, "next": page.next})


class OneApplicant(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="screening_applicant", responses={200: APPLICANT})
    def get(self, request, application_id) -> Response:
        """The report on one applicant: no name, every gate with its interval, what was decided."""
        return Response(applicant_body(queries.get_application(application_id)))


class Decisions(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="screening_decide",
        request={"application/json": {**DECISION, "required": ["outcome", "reason"]}},
        responses={201: DECISION},
    )
    def post(self, request, application_id) -> Response:
        """Decide on an applicant; `revises` names the decision that holds, null where there is none."""
        fields = Fields(request.data)
        asked = {
            "outcome": fields.text("outcome"),
            "reason": fields.text("reason"),
            "message": fields.text("message", ""),
            "revises": fields.any("revises", None),
        }
        fields.done()
        made = services.decide(application_id=application_id, **asked, actor=request.user)
        return Response(decision_body(made), status=201)


class Grading(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="screening_to_grade", responses={200: DEMONSTRATION})
    def get(self, request) -> Response:
        """The next demonstration to grade: not whose it is, nor what others gave."""
        waiting = queries.to_grade(request.user)
        found = waiting.first()
        if found is None:
            return Response({"waiting": 0, "id": None, "messages": [], "text": ""})
        body = {"id": str(found.pk), "messages": found.task.item.messages, "text": found.text}
        return Response({"waiting": waiting.count(), **body})

    @extend_schema(
        operation_id="screening_grade",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "id": {"type": "string", "format": "uuid"},
                    "grade": {"type": "integer", "minimum": 1, "maximum": 7},
                    "note": {"type": "string"},
                },
                "required": ["id", "grade"],
            }
        },
        responses={201: OpenApiTypes.OBJECT},
    )
    def post(self, request) -> Response:
        """Grade one. The same once more is the same; another grade by the same person is refused."""
        if request.user.role != "researcher":
            raise NotAllowed(_("Researchers grade what applicants wrote."))
        fields = Fields(request.data)
        asked = {
            "demonstration_id": fields.text("id"),
            "value": fields.integer("grade", least=1, most=7),
            "note": fields.text("note", ""),
        }
        fields.done()
        made, new = services.grade(**asked, grader=request.user)
        return Response({"id": str(made.demonstration_id), "grade": made.grade}, status=201 if new else 200)


class Coverage(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="screening_coverage", parameters=[AFTER], responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Who says they can judge which topics: `{"topics", "uncovered", "people", "next"}`."""
        topics = list(Topic.objects.filter(active=True).order_by("id"))
        page = queries.coverage_page(topics, after=request.GET.get("after"))
        return Response(
            {
                "topics": [topic.name for topic in topics],
                "uncovered": [topic.name for topic in queries.uncovered()],
                "people": [{"user_name": person.username, "able": person.cells} for person in page],
                "next": page.next,
            }
        )
