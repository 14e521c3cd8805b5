"""What the page on which people write asks for beside its task."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.demos.services import TEXT_CHARACTERS
from labeling.fields import Fields
from labeling.markdown import to_html

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
