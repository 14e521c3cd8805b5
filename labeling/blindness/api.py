"""Names of makers over HTTP, for staff: the terms that are looked for, and the completions that wait."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.blindness import queries, services
from labeling.fields import Fields
from labeling.sampling.models import MakerTerm
from labeling.sampling.services import get_batch

OBJECT = OpenApiTypes.OBJECT
AFTER = OpenApiParameter("after", str, description="`next` of the page before")
BATCH = OpenApiParameter("batch", int, description="only completions of this batch")
TERM = {"application/json": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}}
SWITCH = {"application/json": {"type": "object", "properties": {"active": {"type": "boolean"}}, "required": ["active"]}}
OUTCOME = {
    "application/json": {
        "type": "object",
        "properties": {"outcome": {"enum": ["allowed", "withheld"]}},
        "required": ["outcome"],
    }
}


def term_body(term: MakerTerm) -> dict:
    return {"id": term.pk, "text": term.text, "active": term.active, "built_in": term.built_in}


class Terms(APIView):
    def get_permissions(self) -> list:
        return [IsAdmin() if self.request.method == "POST" else IsResearcher()]

    @extend_schema(operation_id="maker_terms_list", parameters=[AFTER], responses=OBJECT)
    def get(self, request) -> Response:
        """The names that are looked for in completions, the newest first."""
        page = queries.terms_page(after=request.query_params.get("after"))
        return Response({"results": [term_body(term) for term in page], "next": page.next})

    @extend_schema(operation_id="maker_terms_add", request=TERM, responses={201: OBJECT})
    def post(self, request) -> Response:
        """Look for another name. `job` looks at what labelers may still be given."""
        body = Fields(request.data)
        text = body.text("text")
        body.done()
        term, job = services.add_term(text=text, actor=request.user)
        return Response({**term_body(term), "job": str(job.pk)}, status=201)


class OneTerm(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="maker_term_switch", request=SWITCH, responses=OBJECT)
    def patch(self, request, term_id: str) -> Response:
        """Look for this name no longer, or again."""
        body = Fields(request.data)
        active = body.flag("active")
        body.done()
        return Response(term_body(services.switch_term(term_id=term_id, active=active, actor=request.user)))


class Marks(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="maker_marks_list", parameters=[BATCH, AFTER], responses=OBJECT)
    def get(self, request) -> Response:
        """Completions that wait since they name their maker, with their marks in Unicode code points."""
        number = request.query_params.get("batch")
        page = queries.waiting_page(
            batch=get_batch(number).pk if number else None, after=request.query_params.get("after")
        )
        found = [
            {
                "completion": str(one.completion.pk),
                "text": one.completion.text,
                "models": one.models,
                "batch": one.completion.item.batch_id,
                "prompt": str(one.completion.item.prompt_id),
                "marks": [{"term": mark.term, "start": mark.start, "end": mark.end} for mark in one.marks],
            }
            for one in page
        ]
        return Response({"results": found, "next": page.next})


class DecideMarks(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="maker_marks_decide", request=OUTCOME, responses=OBJECT)
    def post(self, request, completion_id: str) -> Response:
        """Serve the completion as it is (`allowed`) or leave it out (`withheld`); 409 where the other was decided."""
        body = Fields(request.data)
        outcome = body.text("outcome")
        body.done()
        decided = services.decide_completion(completion_id=completion_id, outcome=outcome, actor=request.user)
        return Response({"completion": str(decided.pk), "outcome": outcome})
