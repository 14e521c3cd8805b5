from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.agreement import queries
from labeling.api import IsResearcher
from labeling.sampling.services import get_batch


class Agreement(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        parameters=[
            OpenApiParameter("batch", int, description="only rankings of this batch"),
            OpenApiParameter("group", str, description="only this labeler group"),
            OpenApiParameter("simulated", bool, description="simulated labelers too"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Pairwise agreement between labelers who ranked the same task, with a 95 % interval clustered by prompt."""
        batch = get_batch(request.GET["batch"]) if request.GET.get("batch") else None
        simulated = request.GET.get("simulated", "").lower() in ("1", "true", "yes")
        return Response(queries.agreement(batch=batch, group=request.GET.get("group", ""), simulated=simulated))
