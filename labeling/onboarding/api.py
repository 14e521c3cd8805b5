"""Onboarding over HTTP: to labelers their own steps, to staff who is where, and the decisions."""

from __future__ import annotations

from dataclasses import asdict

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsLabeler, IsResearcher
from labeling.fields import Fields
from labeling.onboarding import queries, services
from labeling.onboarding.drawings import DAYS, PRACTICE, day_rows, practice_rows
from labeling.onboarding.reports import report_of
from labeling.people.models import User
from labeling.people.queries import get_person
from labeling.practice.queries import tried_by

STEP = {"enum": list(User.Onboarding.values)}


def newcomer_body(person: User) -> dict:
    report = report_of(person)
    return {
        "person": person.pk,
        "user_name": person.username,
        "step": person.onboarding,
        "since": person.onboarding_at.isoformat(),
        "wanted": person.probation_answers,
        "answers": report.answers,
        "skipped": report.skipped,
        "researchers": {
            "tasks": report.compared_tasks,
            "agree": report.agree,
            "pairs": report.pairs,
            "rate": report.rate,
            "ci95": list(report.interval) if report.interval else [None, None],
        },
        "ratings": {str(rating): [own, theirs] for rating, own, theirs in report.ratings},
        "median_seconds": report.median_seconds,
        "researchers_median_seconds": report.researchers_seconds,
        "days": [dict(zip(DAYS, row, strict=True)) for row in day_rows(report.days)],
        "practice": [dict(zip(PRACTICE, row, strict=True)) for row in practice_rows(tried_by(person))],
        "events": [
            {
                "kind": event.kind,
                "answers": event.answers,
                "actor": event.actor.username if event.actor else None,
                "reason": event.reason,
                "created_at": event.created_at.isoformat(),
            }
            for event in queries.events_of(person)
        ],
    }


class OwnProgress(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="onboarding_mine", responses=OpenApiTypes.OBJECT)
    def get(self, request) -> Response:
        """Your steps: `{"step", "guidelines", "tour", "answers", "wanted"}`; `step` is null once you are through."""
        progress = queries.progress_of(request.user)
        return Response(asdict(progress) if progress else {"step": None})


class Newcomers(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="onboarding",
        parameters=[
            OpenApiParameter("step", str, enum=list(User.Onboarding.values), description="waiting, where left out"),
            OpenApiParameter("after", str, description="`next` of the page before"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request) -> Response:
        """Who is at a step, the longest first: `{"people": […], "next": …}`."""
        page = queries.people_page(
            request.GET.get("step", User.Onboarding.WAITING.value), after=request.GET.get("after")
        )
        people = [
            {
                "person": person.pk,
                "user_name": person.username,
                "step": person.onboarding,
                "since": person.onboarding_at.isoformat(),
                "answers": person.given,
                "wanted": person.probation_answers,
            }
            for person in page
        ]
        return Response({"people": people, "next": page.next})


class Newcomer(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="newcomer", responses=OpenApiTypes.OBJECT)
    def get(self, request, user_id: int) -> Response:
        """The report about one newcomer: agreement with researchers at the same tasks, ratings, time, by
        day too, their practice beside the reference, and events."""
        return Response(newcomer_body(queries.get_newcomer(user_id)))

    @extend_schema(
        operation_id="newcomer_decide",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "decision": {"enum": [services.PASS, services.EXTEND, services.END]},
                    "more": {"type": "integer", "minimum": services.LEAST, "maximum": services.MOST},
                    "reason": {"type": "string"},
                    "seen": {**STEP, "description": "the step at which you saw them; another one by now is a conflict"},
                },
                "required": ["decision", "reason", "seen"],
            }
        },
        responses=OpenApiTypes.OBJECT,
    )
    def post(self, request, user_id: int) -> Response:
        """Pass, extend or end it, with a reason."""
        fields = Fields(request.data)
        said = {
            "decision": fields.text("decision"),
            "more": fields.integer("more", None, least=services.LEAST, most=services.MOST),
            "reason": fields.text("reason"),
            "seen": fields.text("seen"),
        }
        fields.done()
        return Response(newcomer_body(services.decide(user_id=user_id, actor=request.user, **said)))


class Begin(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="onboarding_begin", request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request, user_id: int) -> Response:
        """Ask somebody to begin, also one who was here before. Who is under way goes on as they are."""
        services.begin_onboarding(person=get_person(user_id), actor=request.user, always=True)
        return Response(newcomer_body(queries.get_newcomer(user_id)))
