"""What the page on which people write asks for beside its task. Nothing here tells who wrote a suggestion."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler, object_body
from labeling.demos import queries, suggesting
from labeling.demos.models import Suggestion
from labeling.demos.services import TEXT_CHARACTERS
from labeling.fields import Fields
from labeling.markdown import to_html
from labeling.refusals import Refusal

TEXT = {"type": "object", "properties": {"text": {"type": "string", "maxLength": TEXT_CHARACTERS}}}
HTML = {"type": "object", "properties": {"html": {"type": "string"}}}


class Preview(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="preview", request={"application/json": TEXT}, responses={200: HTML})
    def post(self, request: Request) -> Response:
        """`text`, which is Markdown, as `html` that can do no harm. Nothing is stored."""
        body = Fields(request.data)
        text = body.text("text", longest=TEXT_CHARACTERS)
        body.done()
        return Response({"html": to_html(text)})


OBJECT = OpenApiTypes.OBJECT
FROM = OpenApiParameter("from", int, description="Unicode characters that are known already")


class Suggestions(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="task_suggestions", responses=OBJECT)
    def get(self, request: Request, lease_id: str) -> Response:
        """The suggestions of your open task: `number`, `turn`, `state`, `text`, `length`, `error`; and how many more
        you may ask for."""
        shown = queries.suggestions_shown(lease_id=lease_id, labeler=request.user)
        return Response({"suggestions": shown, "left": Suggestion.MOST - len(shown)})

    @extend_schema(operation_id="task_suggest", request=OBJECT, responses={201: OBJECT, 200: OBJECT})
    def post(self, request: Request, lease_id: str) -> Response:
        """Ask for a suggestion; in a dialogue with the `turns` written so far. 200 with the one that is being written
        already for the same turns."""
        turns = object_body(request.data or {}).get("turns")
        made, created = suggesting.ask_for_suggestion(lease_id=lease_id, labeler=request.user, turns=turns)
        return Response(one(request, lease_id, made.number), status=201 if created else 200)


class OneSuggestion(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="task_suggestion", parameters=[FROM], responses=OBJECT)
    def get(self, request: Request, lease_id: str, number: int) -> Response:
        """How far it is: its `state`, its `length`, and its `text` after the first `from` characters."""
        return Response(one(request, lease_id, number, start=read_from(request)))


class StopSuggestion(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="task_suggestion_stop", request=None, parameters=[FROM], responses=OBJECT)
    def post(self, request: Request, lease_id: str, number: int) -> Response:
        """Have no more of it written. What is there can be used."""
        suggesting.stop_suggestion(lease_id=lease_id, labeler=request.user, number=number)
        return Response(one(request, lease_id, number, start=read_from(request)))


def one(request: Request, lease_id: str, number: int, *, start: int = 0) -> dict:
    [shown] = queries.suggestions_shown(lease_id=lease_id, labeler=request.user, number=number, start=start)
    return shown


def read_from(request: Request) -> int:
    text = request.query_params.get("from", "0")
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise Refusal(_("`from` must be the number of characters that you have, 0 or more."))
    return int(text)
