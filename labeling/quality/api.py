from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher
from labeling.quality import queries
from labeling.quality.wording import sentence

FIGURES = ("kind", "count", "prompts", "value", "reference", "effect", "low", "high", "p", "marked", "detail")


class Quality(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        parameters=[
            OpenApiParameter("simulated", bool, description="simulated labelers in place of people"),
            OpenApiParameter("labeler", int, description="only this labeler"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Bias reports as they were computed last: each figure with effect, 95 % interval and a sentence."""
        simulated, labeler = request.GET.get("simulated", "").lower() in ("1", "true", "yes"), None
        if request.GET.get("labeler", "").isdecimal():
            labeler = queries.get_labeler(int(request.GET["labeler"]))
            simulated = labeler.is_simulated
        run = queries.run_of(simulated=simulated)
        return Response(
            {
                "read_at": run and run.read_at,
                "rankings": run.rankings if run else 0,
                "looks": run.looks if run else 0,
                "simulated": simulated,
                "reports": [
                    {
                        "labeler": row.labeler_id,
                        **{name: getattr(row, name) for name in FIGURES},
                        "sentence": sentence(row),
                    }
                    for row in queries.all_reports(simulated=simulated, labeler=labeler)
                ],
            }
        )
