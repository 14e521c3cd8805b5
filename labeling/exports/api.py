"""Data sets over HTTP, for researchers and admins."""

from __future__ import annotations

from django.http import FileResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.exports import browsing, queries, services
from labeling.exports.downloads import send_file
from labeling.exports.question import CHOICES, FURTHER, LISTS, WISHES
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
            **{key: body.texts(key, []) for key in (*LISTS, *FURTHER)},
            **{key: body.flag(key, False) for key in WISHES},
            "include_simulated": body.flag("include_simulated", False),
            "purpose": body.text("purpose", "", longest=20),
            "since": body.time("since", None),
            "until": body.time("until", None),
            "agreement": body.number("agreement", None),
            **{key: body.text(key, "", longest=20) for key in CHOICES},
        }
        body.done()
        dataset = services.request_dataset(kind=kind, question=question, name=name, created_by=request.user)
        return Response(queries.dataset_summary(dataset) | {"job": str(dataset.job_id)}, status=202)


class OneExport(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export", responses=OBJECT)
    def get(self, request: Request, dataset_id: str) -> Response:
        return Response(queries.dataset_summary(services.get_dataset(dataset_id)))


class ExportVerify(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export_verify", request=None, responses=OBJECT)
    def post(self, request: Request, dataset_id: str) -> Response:
        """Hash every file again, and the content hash: {"intact", "problems"}. Takes as long as reading the files."""
        found = services.get_dataset(dataset_id)
        problems = services.check_dataset(found.same_as or found)
        return Response({"intact": not problems, "problems": problems})


class ExportRows(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="export_rows",
        parameters=[OpenApiParameter("q", str), OpenApiParameter("after", str)],
        responses=OBJECT,
    )
    def get(self, request: Request, dataset_id: str) -> Response:
        """Its rows in the order of its files; with `q`, those whose prompt has these words."""
        found = services.get_dataset(dataset_id)
        asked = request.query_params
        page = browsing.page_of_rows(found.same_as or found, words=asked.get("q", ""), after=asked.get("after"))
        return Response({"results": [browsing.row_summary(row) for row in page], "next": page.next})


class ExportCompare(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export_compare", responses={200: OBJECT, 202: OBJECT})
    def get(self, request: Request, dataset_id: str, other_id: str) -> Response:
        """How many answers and prompts are in both, in the first alone, in the second alone, and the first of these.
        202 while they are counted; ask again."""
        pair = [services.get_dataset(one) for one in (dataset_id, other_id)]
        one, other = (found.same_as or found for found in pair)
        counted = browsing.difference(one, other).content
        if counted is None:
            return Response({"state": "counting"}, status=202)
        rows = [[browsing.row_summary(row) for row in browsing.rows_by_id(ids)] for ids in counted["rows"]]
        return Response(
            {
                "state": "done",
                "question": browsing.unlike(one, other),
                "answers": {name: counted[name] for name in ("both", "first", "second")},
                "prompts": counted["prompts"],
                "only_first": rows[0],
                "only_second": rows[1],
            }
        )


class Rebuild(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export_rebuild", request=None, responses={202: OBJECT})
    def post(self, request: Request, dataset_id: str) -> Response:
        """The same question asked again, beside a data set with something in it that was erased since."""
        made = services.rebuild_dataset(dataset=services.get_dataset(dataset_id), created_by=request.user)
        return Response(queries.dataset_summary(services.get_dataset(made.pk)), status=202)


class ExportFile(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="export_file", responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def get(self, request: Request, dataset_id: str, name: str) -> FileResponse:
        found = services.get_dataset(dataset_id)
        return send_file(services.file_of(found.same_as or found, name))
