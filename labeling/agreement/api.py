from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.agreement import reports
from labeling.api import IsResearcher
from labeling.sampling.services import get_batch

AGAIN = 3  # seconds until a report that is being made may be there


class Agreement(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        parameters=[
            OpenApiParameter("batch", int, description="only rankings of this batch"),
            OpenApiParameter("group", str, description="only this labeler group"),
            OpenApiParameter("simulated", bool, description="simulated labelers too"),
        ],
        responses={200: OpenApiTypes.OBJECT, 202: OpenApiTypes.OBJECT},
    )
    def get(self, request: Request) -> Response:
        """Agreement between labelers who ranked the same task: every statistic with its 95 % interval, clustered by
        prompt, and what chance alone would give; at most a minute old. 202 with `Retry-After` while it is computed."""
        batch = get_batch(request.GET["batch"]) if request.GET.get("batch") else None
        simulated = request.GET.get("simulated", "").lower() in ("1", "true", "yes")
        group = request.GET.get("group", "")
        report = reports.agreement_report(batch=batch, group=group, simulated=simulated)
        if report.waiting:
            return Response({"state": "computing"}, status=202, headers={"Retry-After": str(AGAIN)})
        return Response({**report.content, "made_at": report.made_at})
