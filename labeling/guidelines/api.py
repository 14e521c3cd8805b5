"""Guidelines over HTTP: read them, and say so."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler
from labeling.guidelines import queries, services
from labeling.guidelines.models import Guideline

GUIDELINE = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "title": {"type": "string"},
        "text": {"type": "string", "description": "Markdown"},
        "created_at": {"type": "string", "format": "date-time"},
    },
}


def guideline_body(guideline: Guideline) -> dict:
    return {
        "number": guideline.number,
        "title": guideline.title,
        "text": guideline.text,
        "created_at": guideline.created_at.isoformat(),
    }


class NewestGuideline(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="guideline", responses={200: GUIDELINE, 204: None})
    def get(self, request) -> Response:
        """The guidelines that hold; 204 where the team has none."""
        guideline = queries.newest_guideline()
        return Response(guideline_body(guideline)) if guideline else Response(status=204)


class ReadGuideline(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="guideline_read", request=None, responses={200: GUIDELINE})
    def post(self, request, number: int) -> Response:
        """Say that you have read them."""
        return Response(guideline_body(services.read_guideline(labeler=request.user, number=number)))
