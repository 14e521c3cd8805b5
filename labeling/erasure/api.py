"""erasures/ and retention/: what the pages do, for programs."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.erasure import exporting, queries, services
from labeling.erasure.models import Answers
from labeling.fields import Fields

OBJECT = OpenApiTypes.OBJECT


class Erasures(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="erasures", parameters=[OpenApiParameter("after", str)], responses=OBJECT)
    def get(self, request: Request) -> Response:
        """What was erased, newest first, without what learned from it."""
        page = queries.erasures_page(after=request.query_params.get("after"))
        return Response({"results": [queries.tombstone(each) for each in page], "next": page.next})

    @extend_schema(operation_id="erasures_create", request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """Erase a source user by `source` and `user_id`, with a `reason`; `answers` is keep or erase, and with `refuse`
        nothing more is taken in of them. Cannot be undone."""
        body = Fields(request.data)
        person = services.get_source_user(
            source=body.text("source", longest=100), user_id=body.text("user_id", longest=200)
        )
        asked = {
            "answers": body.text("answers", Answers.KEEP.value, longest=20),
            "refuse": body.flag("refuse", False),
            "reason": body.text("reason", longest=services.REASON_CHARACTERS),
        }
        body.done()
        done = services.erase_person(source_user=person, actor=request.user, **asked)
        return Response(queries.report_of(queries.get_erasure(done.pk)), status=201)


class OneErasure(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="erasure", responses=OBJECT)
    def get(self, request: Request, erasure_id: str) -> Response:
        """What was erased, and the data sets, runs and models that have or learned it."""
        return Response(queries.report_of(queries.get_erasure(erasure_id)))


class PersonExport(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="person_export", request=OBJECT, responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY}
    )
    def post(self, request: Request) -> StreamingHttpResponse:
        """Everything held of a source user, as lines of JSON. Leaves a line in the audit trail."""
        body = Fields(request.data)
        person = services.get_source_user(
            source=body.text("source", longest=100), user_id=body.text("user_id", longest=200)
        )
        body.done()
        services.record_export(source_user=person, actor=request.user)
        return StreamingHttpResponse(exporting.lines_of(person), content_type="application/x-ndjson")


class Retentions(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="retention", responses=OBJECT)
    def get(self, request: Request) -> Response:
        """How long prompts of each source are kept; sources that are not named keep theirs for ever."""
        return Response({"results": [queries.retention_json(each) for each in queries.retentions()]})

    @extend_schema(operation_id="retention_set", request=OBJECT, responses=OBJECT)
    def post(self, request: Request) -> Response:
        """Keep prompts of `source` for `days`, for ever where they are null; `answers` is keep or erase."""
        body = Fields(request.data)
        source, days = body.text("source", longest=100), body.integer("days", None, least=1, most=services.MOST_DAYS)
        answers = body.text("answers", Answers.KEEP.value, longest=20)
        body.done()
        kept = services.set_retention(source=source, days=days, answers=answers, actor=request.user)
        return Response(queries.retention_json(kept) if kept else {"source": source, "days": None})
