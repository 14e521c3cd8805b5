"""Label errors over HTTP, for researchers and admins: figures, draws, and answers to look at one by one."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler, IsResearcher
from labeling.fields import Fields
from labeling.label_errors import queries, reports, services
from labeling.label_errors.models import ErrorItem, ErrorVerdict, SecondLook
from labeling.leasing.answers import INT

OBJECT = OpenApiTypes.OBJECT
AGAIN = 3  # seconds until figures that are being computed may be there
SIMULATED = OpenApiParameter("simulated", bool, description="of simulated labelers")
VERDICT = {
    "application/json": {
        "type": "object",
        "properties": {
            "verdict": {"enum": ErrorVerdict.Verdict.values},
            "note": {"type": "string", "maxLength": services.NOTE_CHARACTERS},
        },
        "required": ["verdict"],
    }
}
DRAW = {
    "application/json": {
        "type": "object",
        "properties": {
            "size": {"type": "integer", "minimum": 1, "maximum": services.MOST_DRAWN},
            "share": {"type": "integer", "minimum": 0, "maximum": 100, "description": "of a hundred, suspicious ones"},
            "seed": {"type": "integer", "minimum": 0},
            "simulated": {"type": "boolean"},
        },
        "required": ["size"],
    }
}


def asked_for_simulated(request: Request) -> bool:
    return request.GET.get("simulated", "").lower() in ("1", "true", "yes")


def item_body(looked: queries.Looked) -> dict:
    """An answer to look at. Which arm it comes from is told once it is judged."""
    item, said = looked.item, looked.verdict
    body = {
        "id": str(item.pk),
        "messages": looked.messages,
        "completions": [{"id": each.id, "text": each.text, "rank": each.rank} for each in looked.completions],
        "pairs": [{"better": better.id, "worse": worse.id} for _number, better, worse in looked.pairs],
        "claimed_until": item.claimed_until,
        "verdict": said.verdict if said else None,
        "note": said.note if said else "",
        "revision": said.revision if said else 0,
        "second_look": look_body(looked.second_look) if looked.second_look else None,
    }
    if item.judged_at is not None:
        body |= {"suspicious": item.suspicious, "random": item.random, "ranking": str(item.ranking_id)}
    return body


def look_body(look: SecondLook) -> dict:
    """What became of an answer that was sent back, as the team sees it."""
    return {
        "state": look.state,
        "asked_at": look.asked_at,
        "ended_at": look.ended_at,
        "answer": str(look.answer_id) if look.answer_id else None,
        "note": look.note,
    }


def look_at(item: ErrorItem, request: Request) -> dict:
    return item_body(queries.look_at(queries.get_item(item.pk), reviewer=request.user))


class LabelErrors(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="label_errors", parameters=[SIMULATED], responses={200: OBJECT, 202: OBJECT})
    def get(self, request: Request) -> Response:
        """Errors found among answers looked at, the most suspicious beside a random sample, with 95 % intervals: in
        all, by reward model and by week. 202 with `Retry-After` while they are computed."""
        simulated = asked_for_simulated(request)
        report = reports.found_report(simulated=simulated)
        if report.waiting:
            return Response({"state": "computing"}, status=202, headers={"Retry-After": str(AGAIN)})
        state = queries.state()
        return Response(
            {
                **report.content,
                "made_at": report.made_at,
                "reward_model": state.checkpoint.name if state.checkpoint else None,
                "answers": queries.figures(simulated=simulated),
                "second_looks": queries.look_counts(),
            }
        )


class Suspicious(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="label_errors_suspicious",
        parameters=[SIMULATED, OpenApiParameter("after", str, description="`next` of the page before")],
        responses=OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Answers that nobody was given to look at, the most suspicious first. Who looks at answers later had better
        not read this: they would know which come from here."""
        page = queries.suspicious_page(simulated=asked_for_simulated(request), after=request.GET.get("after"))
        rows = [
            {
                "ranking": str(row.ranking_id),
                "task": str(row.task_id),
                "suspicion": row.score,
                "pairs": row.pairs,
                "opposite_by_model": row.opposite,
                "compared": row.compared,
                "contradicted": row.contradicted,
                "reward_model": row.checkpoint.name if row.checkpoint else None,
            }
            for row in page
        ]
        return Response({"answers": rows, "next": page.next})


class Look(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="label_errors_look",
        request={"application/json": {"type": "object", "properties": {"simulated": {"type": "boolean"}}}},
        responses={202: OBJECT},
    )
    def post(self, request: Request) -> Response:
        """A job that reads new answers and asks the newest reward model; see `jobs/`."""
        fields = Fields(request.data)
        simulated = fields.flag("simulated", False)
        fields.done()
        job = services.request_look(actor=request.user, simulated=simulated)
        return Response({"job": str(job.pk), "state": job.state}, status=202)


class Draws(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="label_errors_draw", request=DRAW, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """Draw answers to be looked at."""
        fields = Fields(request.data)
        asked = {
            "size": fields.integer("size", least=1, most=services.MOST_DRAWN),
            "share": fields.integer("share", 50, least=0, most=100),
            "seed": fields.integer("seed", None, least=0, most=services.SEEDS - 1),
            "simulated": fields.flag("simulated", False),
        }
        fields.done()
        made = services.draw_answers(**asked, actor=request.user)
        return Response(
            {"id": made.pk, "seed": made.seed, "answers": made.items.count(), "share": made.share}, status=201
        )


class Next(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="label_errors_next", request=None, responses={200: OBJECT, 204: None})
    def post(self, request: Request) -> Response:
        """The next answer to look at, held for ten minutes; the one that one holds already, again. 204: none waits."""
        item = services.claim_next(reviewer=request.user)
        return Response(status=204) if item is None else Response(look_at(item, request))


class Verdict(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="label_error_verdict", request=VERDICT, responses={200: OBJECT})
    def post(self, request: Request, error_id) -> Response:
        """What it is. Said again otherwise, it is another revision; said again alike, it is said once."""
        fields = Fields(request.data)
        said = {"verdict": fields.text("verdict"), "note": fields.text("note", "", longest=services.NOTE_CHARACTERS)}
        fields.done()
        verdict = services.judge(item_id=error_id, reviewer=request.user, **said)
        return Response(look_at(verdict.item, request))


class AskSecondLook(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="label_error_second_look", request=None, responses={200: OBJECT})
    def post(self, request: Request, error_id) -> Response:
        """Send an answer with an error back to its labeler, who keeps or corrects it and is told nothing of what was
        found. Asked twice is asked once."""
        look = services.ask_second_look(item_id=error_id, actor=request.user)
        return Response(look_at(look.item, request))


class SecondLooks(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(operation_id="second_looks", responses=OBJECT)
    def get(self, request: Request) -> Response:
        """Tasks whose answer of yours the team asks you to look at again, the longest waiting first, at most 100. Keep
        it with `tasks/<id>/keep/`, or correct it with `tasks/<id>/submit/`."""
        waiting = queries.waiting_looks_of(request.user)[:100]
        return Response({"tasks": [{"id": str(look.lease_id), "asked_at": look.asked_at} for look in waiting]})


class Keep(APIView):
    permission_classes = [IsLabeler]

    @extend_schema(
        operation_id="answer_keep",
        request={
            "application/json": {
                "type": "object",
                "properties": {
                    "active_seconds": {"type": "integer", "minimum": 0},
                    "note": {"type": "string", "maxLength": services.KEPT_CHARACTERS},
                },
            }
        },
        responses={200: OBJECT},
    )
    def post(self, request: Request, lease_id: str) -> Response:
        """You have looked again and stand by your answer. Said twice is said once."""
        fields = Fields(request.data)
        said = {
            "active_seconds": fields.integer("active_seconds", 0, least=0, most=INT),
            "note": fields.text("note", "", longest=services.KEPT_CHARACTERS),
        }
        fields.done()
        look = services.keep_answer(lease_id=lease_id, labeler=request.user, **said)
        return Response({"id": str(look.lease_id), "state": look.state, "ended_at": look.ended_at})
