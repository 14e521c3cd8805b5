"""Jobs over the API: look, cancel, start again."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.background import queries, services
from labeling.background.models import Job


def job_body(job: Job) -> dict:
    """One job as the API tells it; times in ISO 8601, UTC."""
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "state": job.state,
        "attempt": job.attempt,
        "done": job.done,
        "total": job.total,
        "note": job.note,
        "error": job.error,
        "result": job.result,
        "cancel_requested": job.cancel_requested,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


class Jobs(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Jobs, newest first: `jobs`, and `next`, the value of `after` for more."""
        asked = {name: request.query_params.get(name, "") for name in ("state", "kind")}
        page = queries.jobs_page(**asked, after=request.query_params.get("after"))
        return Response({"jobs": [job_body(job) for job in page], "next": page.next})


class OneJob(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, job_id) -> Response:
        """How far one job is."""
        return Response(job_body(services.get_job(job_id)))


class CancelJob(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, job_id) -> Response:
        """Ask the job to end; 409 when it has ended."""
        return Response(job_body(services.cancel(job=services.get_job(job_id), actor=request.user)))


class RetryJob(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, job_id) -> Response:
        """Queue a failed or cancelled job again; 409 for any other."""
        return Response(job_body(services.retry(job=services.get_job(job_id), actor=request.user)))
