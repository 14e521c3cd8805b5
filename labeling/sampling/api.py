"""Endpoints and batches over HTTP, for researchers and admins."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.fields import Fields
from labeling.forms.queries import form_named
from labeling.refusals import NotFound, Refusal
from labeling.sampling import queries, services
from labeling.sampling.briefs import (
    LEAST_PAIRS,
    MOST_BRIEFS,
    MOST_PAIRS,
    NOTE_CHARACTERS,
    USUAL_PAIRS,
    create_prompt_batch,
)
from labeling.sampling.choosing import USUAL_FLOOR, USUAL_SHARPNESS, Selection
from labeling.sampling.models import Batch, Endpoint

OBJECT = OpenApiTypes.OBJECT
AFTER = OpenApiParameter("after", str, description="`next` of the page before")


class Endpoints(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="endpoints_list", responses=OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"results": [queries.endpoint_summary(endpoint) for endpoint in queries.list_endpoints()]})

    @extend_schema(operation_id="endpoints_add", request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        body = Fields(request.data)
        given = {
            "name": body.text("name", longest=100),
            "base_url": body.text("base_url", longest=300),
            "model": body.text("model", longest=200),
            "api_key_variable": body.text("api_key_variable", "", longest=100),
        }
        body.done()
        endpoint = services.add_endpoint(created_by=request.user, **given)
        return Response(queries.endpoint_summary(endpoint), status=201)


class OneEndpoint(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="endpoint", responses=OBJECT)
    def get(self, request: Request, endpoint_id: str) -> Response:
        return Response(queries.endpoint_summary(services.get_endpoint(endpoint_id)))

    @extend_schema(operation_id="endpoint_switch", request=OBJECT, responses=OBJECT)
    def patch(self, request: Request, endpoint_id: str) -> Response:
        endpoint, body = services.get_endpoint(endpoint_id), Fields(request.data)
        active = body.flag("active")
        body.done()
        services.set_endpoint_active(endpoint=endpoint, active=active, actor=request.user)
        return Response(queries.endpoint_summary(endpoint))


class CheckEndpoint(APIView):
    """Queue a look at the server; GET the endpoint for what it found."""

    permission_classes = [IsResearcher]

    @extend_schema(operation_id="endpoint_check", request=None, responses={202: OBJECT})
    def post(self, request: Request, endpoint_id: str) -> Response:
        endpoint = services.get_endpoint(endpoint_id)
        services.ask_for_check(endpoint=endpoint, actor=request.user)
        endpoint.refresh_from_db()
        return Response(queries.endpoint_summary(endpoint), status=202)


class Batches(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="batches_list", parameters=[AFTER], responses=OBJECT)
    def get(self, request: Request) -> Response:
        page = queries.page_of_batches(after=request.query_params.get("after"))
        return Response({"results": [queries.batch_summary(batch) for batch in page], "next": page.next})

    @extend_schema(operation_id="batches_create", request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        body = Fields(request.data)
        if body.text("kind", "ranking") == Batch.Kind.PROMPT:
            batch = create_prompt_batch(created_by=request.user, **read_prompt_batch(body))
        else:
            batch = services.create_batch(created_by=request.user, **read_batch(body))
        job = services.start_sampling(batch=batch, actor=request.user)
        return Response(described(batch) | {"job": str(job.pk)}, status=201)


class OneBatch(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="batch", responses=OBJECT)
    def get(self, request: Request, batch_id: str) -> Response:
        return Response(described(services.get_batch(batch_id)))


class SampleBatch(APIView):
    """Go on sampling what waits: after a failure, or after the batch was opened again."""

    permission_classes = [IsResearcher]

    @extend_schema(operation_id="batch_sample", request=None, responses={202: OBJECT})
    def post(self, request: Request, batch_id: str) -> Response:
        batch = services.get_batch(batch_id)
        job = services.start_sampling(batch=batch, actor=request.user)
        return Response(described(batch) | {"job": str(job.pk)}, status=202)


def described(batch: Batch) -> dict:
    queries.add_counts([batch])
    return queries.batch_summary(batch)


def read_batch(body: Fields) -> dict:
    """The arguments of `create_batch` in a request's body."""
    endpoints = [find_endpoint(name) for name in body.texts("endpoints", [], most=20)]
    selection = Selection(
        splits=tuple(body.texts("splits", [])),
        sources=tuple(body.texts("sources", [])),
        use_cases=tuple(body.texts("use_cases", [])),
        count=body.integer("count", None, least=1, most=10_000_000),
        order=body.text("order", "random"),
        fresh=body.flag("fresh", False),
        floor=body.number("floor", USUAL_FLOOR),
        sharpness=body.number("sharpness", USUAL_SHARPNESS),
        suggested=body.flag("suggested", False),
    )
    given = {
        "name": body.text("name", longest=100),
        "kind": body.text("kind", "ranking"),
        "endpoints": endpoints,
        "prompts": selection,
        "k": read_k(body.any("k", None)),
        "form": form_named(form) if (form := body.text("form", "", longest=40)) else None,
        "overlap": body.integer("overlap", 1, least=1, most=100),
        "shared_percent": body.integer("shared_percent", 0, least=0, most=20),
        "groups": body.texts("groups", ["training"]),
        "group_targets": body.any("group_targets", ""),
        "again": body.flag("again", False),
        "priority": body.integer("priority", 0, least=-1000, most=1000),
        "temperature": body.number("temperature", 1.0),
        "top_p": body.number("top_p", 1.0),
        "max_tokens": body.integer("max_tokens", 256, least=1, most=4096),
        "seed": body.integer("seed", 0, least=-(2**63), most=2**63 - 1),
        "evaluation": body.flag("evaluation", False),
        "hold_named": body.flag("hold_named", True),
        "words_low": body.integer("words_low", None, least=1, most=services.MOST_WORDS),
        "words_high": body.integer("words_high", None, least=1, most=services.MOST_WORDS),
        "suggestions": find_endpoint(name) if (name := body.text("suggestions", "", longest=100)) else None,
        "review": body.flag("review", False),
        "probation": body.flag("probation", False),
        "reuse": body.text("reuse", "", longest=20),
    }
    body.done()
    return given


def read_prompt_batch(body: Fields) -> dict:
    """The arguments of `create_prompt_batch` in a request's body."""
    body.text("kind")
    numbers = {name: body.integer(name, 0, least=0, most=MOST_BRIEFS) for name in ("plain", "few_shot")}
    given = {
        "name": body.text("name", longest=100),
        **numbers,
        "user_based": body.integer("user_based", None, least=0, most=MOST_BRIEFS),
        "statements": body.texts("statements", [], most=MOST_BRIEFS),
        "use_cases": body.texts("use_cases", []),
        "spread": body.text("spread", "paper"),
        "pairs": body.integer("pairs", USUAL_PAIRS, least=LEAST_PAIRS, most=MOST_PAIRS),
        "note": body.text("note", "", longest=NOTE_CHARACTERS),
        "overlap": body.integer("overlap", 1, least=1, most=100),
        "groups": body.texts("groups", ["training"]),
        "group_targets": body.any("group_targets", ""),
        "priority": body.integer("priority", 0, least=-1000, most=1000),
        "seed": body.integer("seed", 0, least=-(2**63), most=2**63 - 1),
        "review": body.flag("review", False),
    }
    body.done()
    return given


def read_k(value: object) -> object:
    """A number, a text, or weights {"4": 3, "9": 1} as JSON has them, for `choosing.read_k` to judge."""
    if not isinstance(value, dict):
        return value
    weights = {}
    for number, weight in value.items():
        if not (number.isascii() and number.isdigit()) or len(number) > 3:
            raise Refusal(_('`k` as weights is an object such as {"4": 3, "9": 1}.'))
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
            raise Refusal(_("A weight in `k` must be a number that is not negative."))
        weights[int(number)] = float(weight)
    return weights


def find_endpoint(name: str) -> Endpoint:
    found = Endpoint.objects.filter(name=name).first()
    if found is None:
        raise NotFound(_("There is no endpoint called {name}; GET endpoints/ lists them.").format(name=name[:100]))
    return found
