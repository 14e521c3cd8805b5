"""Practice answers over HTTP, for the task pages."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler, object_body
from labeling.leasing.answers import REASON_CHARACTERS
from labeling.practice import services
from labeling.practice.models import PracticeAnswer

STORED = {
    "type": "object",
    "properties": {"attempt": {"type": "integer"}, "created_at": {"type": "string", "format": "date-time"}},
}
REASON = {"type": "object", "properties": {"reason": {"type": "string", "maxLength": REASON_CHARACTERS}}}
KEY = OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER, required=True)


def stored_body(row: PracticeAnswer) -> dict:
    return {"attempt": row.attempt, "created_at": row.created_at.isoformat()}


class TourSubmit(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(
        operation_id="tour_submit",
        parameters=[KEY],
        request={"application/json": {"type": "object"}},
        responses={201: STORED, 200: STORED},
    )
    def post(self, request, tour_number: int, task_name: str) -> Response:
        """Answer a practice task, in the shape of a real one. It counts nowhere but on your tour."""
        row, created = services.submit_practice(
            labeler=request.user,
            number=tour_number,
            name=task_name,
            answer=object_body(request.data),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return Response(stored_body(row), status=201 if created else 200)


class TourSkip(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="tour_skip", request={"application/json": REASON}, responses={200: STORED})
    def post(self, request, tour_number: int, task_name: str) -> Response:
        """Skip a practice task, and say why."""
        reason = object_body(request.data).get("reason")
        row = services.skip_practice(labeler=request.user, number=tour_number, name=task_name, reason=reason)
        return Response(stored_body(row))
