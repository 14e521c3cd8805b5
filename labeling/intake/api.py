"""Sources and their keys over the API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.intake import queries, sources
from labeling.intake.models import Source, SourceKey

OBJECT = OpenApiTypes.OBJECT
NUMBER = {"type": "number", "minimum": 0, "maximum": 100}
SOURCE = {
    "application/json": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 100},
            "terms_version": {"type": "string", "maxLength": 100, "description": "where given, consent is needed"},
            "rate_per_minute": {"type": "integer", "minimum": 1, "maximum": sources.MOST},
            "prompts_per_user": {"type": "integer", "minimum": 1, "maximum": sources.MOST},
            **{name: NUMBER for name in sources.SHARES},
        },
    }
}
KEY = {"application/json": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}}


class IsStaffWhoLooksOrAdmin(IsResearcher):
    def has_permission(self, request, view) -> bool:
        return (IsResearcher if request.method == "GET" else IsAdmin)().has_permission(request, view)


def source_body(source: Source) -> dict[str, Any]:
    fields = {name: getattr(source, name) for name in sources.FIELDS}
    shares = {name: float(fields[name]) for name in sources.SHARES}
    return {"id": source.pk, **fields, **shares, "created_at": source.created_at}


def key_body(key: SourceKey) -> dict[str, Any]:
    return {
        "id": str(key.pk),
        "name": key.name,
        "ending": key.ending,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def read_source(data: Any) -> dict[str, Any]:
    fields, said = Fields(data), {}
    for name in sources.FIELDS:
        if name in fields.data:
            said[name] = fields.text(name) if name in ("name", "terms_version") else fields.any(name)
    fields.done()
    return said


class Sources(APIView):
    permission_classes = [IsStaffWhoLooksOrAdmin]

    @extend_schema(operation_id="sources", responses=OBJECT)
    def get(self, request: Request) -> Response:
        """Sources by name: `sources`, and `next`, the value of `after` for more."""
        page = queries.sources_page(after=request.query_params.get("after"), size=100)
        return Response({"sources": [source_body(source) for source in page], "next": page.next})

    @extend_schema(operation_id="source_create", request=SOURCE, responses={201: OBJECT, 409: OBJECT})
    def post(self, request: Request) -> Response:
        """A new source. The shares of its users, in percent, add up to 100."""
        return Response(source_body(sources.create_source(actor=request.user, **read_source(request.data))), status=201)


class OneSource(APIView):
    permission_classes = [IsStaffWhoLooksOrAdmin]

    @extend_schema(operation_id="source", responses=OBJECT)
    def get(self, request: Request, source_id: int) -> Response:
        """One source with its users and prompts by split, and its keys."""
        source = sources.get_source(source_id)
        keys = [key_body(key) for key in queries.keys_of(source)]
        return Response({**source_body(source), "splits": queries.source_figures(source), "keys": keys})

    @extend_schema(operation_id="source_change", request=SOURCE, responses={200: OBJECT, 409: OBJECT})
    def patch(self, request: Request, source_id: int) -> Response:
        """Change what is named. 409 for the name and the shares of a source that has users: their splits follow from
        these."""
        return Response(
            source_body(sources.change_source(source_id=source_id, actor=request.user, **read_source(request.data)))
        )


class SourceKeys(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="source_key_create", request=KEY, responses={201: OBJECT})
    def post(self, request: Request, source_id: int) -> Response:
        """A new key. `key` is shown this once."""
        fields = Fields(request.data)
        name = fields.text("name")
        fields.done()
        row, key = sources.create_key(source_id=source_id, name=name, actor=request.user)
        return Response({**key_body(row), "key": key}, status=201)


class RevokeSourceKey(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="source_key_revoke", request=None, responses=OBJECT)
    def post(self, request: Request, source_id: int, key_id) -> Response:
        """The key opens nothing any more."""
        return Response(key_body(sources.revoke_key(source_id=source_id, key_id=key_id, actor=request.user)))
