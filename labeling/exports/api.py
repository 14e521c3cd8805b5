"""Data sets over HTTP, for researchers and admins."""

from __future__ import annotations

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.exports import queries, services
from labeling.exports.downloads import send_file
from labeling.exports.question import LISTS, WISHES
from labeling.fields import Fields

OBJECT = OpenApiTypes.OBJECT


class Exports(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="exports_list", parameters=[OpenApiParameter("after", str)], responses=OBJECT)
    def get(self, request: Request) -> Response:
        page = queries.page_of_datasets(after=request.query_params.get("after"))
        return Response({"results": [queries.dataset_summary(dataset) for dataset in page], "next": page.next})

    @extend_schema(operation_id="exports_create", request=OBJECT, responses={202: OBJECT})
    def post(self, request: Request) -> Response:
        """Queue an export; GET its address for the state, the hash, and the names of its files."""
        body = Fields(request.data)
        kind, name = body.text("kind", longest=20), body.text("name", "", longest=100)
        question = {
            **{key: body.texts(key, []) for key in LISTS},
            **{key: body.flag(key, False) for key in WISHES},
            "include_simulated": body.flag("include_simulated", False),
            "purpose": body.text("purpose", "", longest=20),
            "until": body.time("until", None),
            "consensus": body.text("consensus", "", longest=20),
            "answers": body.text("answers", "", longest=20),
        }
        body.done()
        dataset = services.request_dataset(kind=kind, question=question, name=name, created_by=request.user)
        return Response(queries.dataset_summary(dataset) | {"job": str(dataset.job_id)}, status=202)


class OneExport(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export", responses=OBJECT)
    def get(self, request: Request, dataset_id: str) -> Response:
        return Response(queries.dataset_summary(services.get_dataset(dataset_id)))


class ExportFile(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export_file", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, dataset_id: str, name: str) -> FileResponse:
        found = services.get_dataset(dataset_id)
        return send_file(services.file_of(found.same_as or found, name))
