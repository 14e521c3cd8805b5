"""Use cases over HTTP, for researchers and admins."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher
from labeling.fields import Fields
from labeling.intake.models import UseCase
from labeling.refusals import Refusal
from labeling.use_cases import queries, services, suggesting, targets
from labeling.use_cases.models import UseCaseModel, UseCaseTarget

OBJECT = OpenApiTypes.OBJECT
SAID = {
    "application/json": {
        "type": "object",
        "properties": {
            "use_case": {"enum": [*UseCase.values, ""], "description": "empty: take back what you said"},
            "saw": {"enum": [*UseCase.values, ""], "description": "the suggestion that was in sight"},
        },
        "required": ["use_case"],
    }
}
TARGET = {
    "application/json": {
        "type": "object",
        "properties": {
            "shares": {"type": "object", "description": "use case → per cent, together 100"},
            "suggestions": {"enum": UseCaseTarget.Shown.values},
            "note": {"type": "string", "maxLength": 300},
            "replaces": {"type": "integer", "description": "the number of the version that you saw"},
        },
        "required": ["shares"],
    }
}


class UseCases(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="use_cases",
        parameters=[OpenApiParameter("split", str), OpenApiParameter("suggestions", bool)],
        responses=OBJECT,
    )
    def get(self, request: Request) -> Response:
        """The mix against its target, and how well people agree."""
        with_suggestions = request.query_params.get("suggestions", "").lower() in ("1", "true", "yes")
        found = queries.mix(split=request.query_params.get("split", ""), with_suggestions=with_suggestions)
        agreement = queries.agreement()
        model = suggesting.newest_model()
        return Response(
            {
                "classifier": model and model_body(model),
                "use_cases": [dict(zip(queries.COLUMNS, row.as_list, strict=True)) for row in found.rows],
                "counted": found.counted,
                "none": found.none,
                "target": found.target.number,
                "agreement": {
                    "prompts": agreement.prompts,
                    "pairs": agreement.pairs,
                    "agree": agreement.agree,
                    "chance": agreement.chance,
                    "kappa": agreement.kappa,
                    "ci95": [agreement.low, agreement.high],
                },
            }
        )


def model_body(model: UseCaseModel) -> dict:
    return {
        "version": model.number,
        "prompts": model.prompts,
        "accuracy": model.accuracy,
        "ci95": [model.accuracy_low, model.accuracy_high],
        "measured": model.measured,
        "majority": model.majority,
        "chance": model.chance,
        "by_use_case": model.by_use_case,
        "data_sha256": model.data_sha256,
        "weights_sha256": model.weights_sha256,
        "library": model.library,
        "created_at": model.created_at,
    }


class Target(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="use_cases_target", request=TARGET, responses={201: OBJECT, 409: OBJECT})
    def post(self, request: Request) -> Response:
        """Aim at another mix."""
        fields = Fields(request.data)
        given = {
            "shares": fields.any("shares"),
            "suggestions": fields.text("suggestions", targets.current().suggestions),
            "note": fields.text("note", ""),
            "replaces": fields.integer("replaces", None, least=0, most=2**31),
        }
        fields.done()
        made = targets.set_target(**given, actor=request.user)
        return Response({"number": made.number, "shares": made.by_use_case, "suggestions": made.suggestions}, 201)


class Train(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="use_cases_train", request=None, responses={202: OBJECT})
    def post(self, request: Request) -> Response:
        """Train a version of the classifier on what people said, and let it tell every prompt."""
        return Response({"job": str(suggesting.start_training(actor=request.user).pk)}, 202)


class Next(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="use_cases_next",
        parameters=[OpenApiParameter("after", str), OpenApiParameter("size", int, description="1 to 20")],
        responses=OBJECT,
    )
    def get(self, request: Request) -> Response:
        """Prompts that you have not named, in random order: `prompts`, and `next`, the value of `after`."""
        size = request.query_params.get("size", "1")
        if not (size.isascii() and size.isdigit() and 1 <= int(size[:3]) <= queries.MOST_AT_ONCE):
            raise Refusal(_("`size` must be 1 to {most}.").format(most=queries.MOST_AT_ONCE))
        turn = queries.turn(person=request.user, after=request.query_params.get("after", ""), size=int(size))
        prompts = [{"id": str(each.pk), "messages": each.shown, "source": each.source.name} for each in turn.prompts]
        return Response({"prompts": prompts, "next": turn.next})


class Say(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="prompt_use_case", request=SAID, responses={200: OBJECT, 409: OBJECT})
    def post(self, request: Request, prompt_id) -> Response:
        """Say what a prompt is used for, or take back what you said; what people say of it then."""
        fields = Fields(request.data)
        given = {"use_case": fields.text("use_case", longest=40), "saw": fields.text("saw", "", longest=40)}
        fields.done()
        standing = services.assign(prompt_id=prompt_id, person=request.user, **given)
        return Response(
            {
                "id": str(standing.prompt_id),
                "use_case": standing.prompt.use_case,
                "people": standing.people,
                "votes": standing.votes,
            }
        )
