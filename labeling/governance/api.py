"""Prompts over the API: in, one or many at a time, and out as a list."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher, json_type, object_body
from labeling.governance import queries, services
from labeling.intake import queries as intake
from labeling.intake.models import Prompt
from labeling.intake.reading import Problem
from labeling.intake.services import read_prompt
from labeling.refusals import Refusal

DEFAULT_SOURCE = "api"
AT_ONCE = 1000  # prompts in one request; more come as a file
PAGE = 100


class PromptRefused(Refusal):
    """One prompt that did not go in, for the reason that its `code` is."""

    def __init__(self, problem: Problem, prompt_id=None) -> None:
        detail = {"prompt": str(prompt_id)} if prompt_id else {}
        super().__init__(f"The prompt was not stored: {problem.detail}.", **detail)
        self.code = problem.reason
        self.status = 409 if problem.reason in ("duplicate", "external_id_conflict", "user_cap") else 400


def prompt_body(prompt: Prompt) -> dict[str, Any]:
    """One prompt as the API tells it."""
    return {
        "id": str(prompt.pk),
        "messages": prompt.messages,
        "source": prompt.source.name,
        "user_id": prompt.source_user.external_id,
        "external_id": prompt.external_id,
        "split": prompt.source_user.split,
        "state": prompt.state,
        "use_case": prompt.use_case,
        "categories": prompt.categories,
        "consent": prompt.consent,
        "created_at": prompt.created_at,
    }


class Prompts(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Prompts, newest first: `prompts`, and `next`, the value of `after` for more."""
        asked = {name: request.query_params.get(name, "") for name in intake.FILTERS}
        page = intake.prompts_page(**asked, after=request.query_params.get("after"), size=PAGE)
        return Response({"prompts": [prompt_body(prompt) for prompt in page], "next": page.next})

    @extend_schema(request=OpenApiTypes.OBJECT, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        """Store a prompt, or up to 1000 as {"prompts": […]}.

        Answers with the counts of `import_prompts` and, in `prompts`, the id and state of each that was stored. A
        single prompt that cannot be stored is an error of its own; among many it is counted and named.
        """
        body = object_body(request.data)
        many = "prompts" in body
        given = body["prompts"] if many else [body]
        if not isinstance(given, list):
            raise Refusal(_("`prompts` must be a list of prompts, not {given}.").format(given=json_type(given)))
        if not 1 <= len(given) <= AT_ONCE:
            raise Refusal(
                _("Send 1 to {at_once} prompts in one request, not {count}; import more as a file.").format(
                    at_once=AT_ONCE, count=len(given)
                )
            )
        if not many and isinstance(problem := read_prompt(body, source=DEFAULT_SOURCE), Problem):
            raise PromptRefused(problem)
        outcomes: list[services.Outcome] = []
        imported = services.import_prompts(
            rows=enumerate(given, start=1),
            name="API",
            source=DEFAULT_SOURCE,
            created_by=request.user,
            notice=outcomes.extend,
        )
        if not many and outcomes[0].problem and not outcomes[0].state:
            raise PromptRefused(outcomes[0].problem, outcomes[0].prompt_id)
        stored = [
            {"line": outcome.line, "id": str(outcome.prompt_id), "state": outcome.state}
            for outcome in outcomes
            if outcome.state
        ]
        return Response({**services.summary_of(imported), "prompts": stored}, status=201)


class OnePrompt(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, prompt_id) -> Response:
        """One prompt with what the personal-data filter found in it: positions in characters of the message."""
        prompt = intake.get_prompt(prompt_id)
        findings = [
            {
                "message": finding.message_index,
                "start": finding.start,
                "end": finding.end,
                "kind": finding.kind,
                "score": finding.score,
            }
            for finding in queries.findings_of([prompt])[prompt.pk]
        ]
        return Response({**prompt_body(prompt), "findings": findings})
