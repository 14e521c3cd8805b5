"""Prompts over the API: in, one or many at a time, and out as a list."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from labeling.api import IsAdmin, IsResearcher, json_type, object_body
from labeling.fields import Fields
from labeling.governance import (
    deciding,
    importing,
    outputs,
    personal_data,
    policies,
    queries,
    scanning,
    services,
    triage,
)
from labeling.governance.estimating import Estimate, Share
from labeling.governance.models import Finding, Policy
from labeling.intake import queries as intake
from labeling.intake import rates
from labeling.intake.keys import Program, SourceKeyAuthentication
from labeling.intake.models import Import, Prompt, UseCase
from labeling.intake.reading import Problem
from labeling.intake.services import ROLES, read_prompt
from labeling.people.models import Sensitive
from labeling.refusals import Refusal

DEFAULT_SOURCE = "api"
AT_ONCE = 1000  # prompts in one request; more come as a file
PAGE = 100


OBJECT = OpenApiTypes.OBJECT
MESSAGES = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"role": {"enum": list(ROLES)}, "content": {"type": "string"}},
        "required": ["role", "content"],
    },
}
ONE_PROMPT = {
    "type": "object",
    "description": "`prompt` or `messages`, whose last is the user's",
    "properties": {
        "prompt": {"type": "string"},
        "messages": MESSAGES,
        "user_id": {"type": "string", "maxLength": 200, "description": "who wrote it, as the source calls them"},
        "source": {"type": "string", "maxLength": 100, "description": "a key's own where it is not given"},
        "external_id": {"type": "string", "maxLength": 200},
        "consent": {"oneOf": [{"type": "boolean"}, {"type": "string"}], "description": "true, or the terms' version"},
        "terms_version": {"type": "string", "maxLength": 100},
        "consented_at": {"type": "string", "format": "date-time"},
        "time": {"type": "string", "format": "date-time", "description": "when it was written"},
        "use_case": {"enum": UseCase.values},
        "categories": {"type": "array", "items": {"enum": Sensitive.values}},
    },
}
MANY_PROMPTS = {
    "type": "object",
    "properties": {"prompts": {"type": "array", "items": ONE_PROMPT, "minItems": 1, "maxItems": AT_ONCE}},
    "required": ["prompts"],
}
PROMPT_IN = {"application/json": {"oneOf": [ONE_PROMPT, MANY_PROMPTS]}}


class PromptRefused(Refusal):
    """One prompt that did not go in, for the reason that its `code` is."""

    def __init__(self, problem: Problem, prompt_id=None) -> None:
        detail = {"prompt": str(prompt_id)} if prompt_id else {}
        super().__init__(f"The prompt was not stored: {problem.detail}.", **detail)
        self.code = problem.reason
        self.status = 409 if problem.reason in ("duplicate", "external_id_conflict", "user_cap") else 400


def stored_body(outcome: services.Outcome) -> dict[str, Any] | None:
    """A prompt that is stored now, or was before; None for one that is not."""
    if not (outcome.state or outcome.there):
        return None
    body = {"line": outcome.line, "id": str(outcome.prompt_id), "state": outcome.state or outcome.there}
    return body | ({"already": True} if outcome.there else {})


def prompt_body(prompt: Prompt) -> dict[str, Any]:
    """One prompt as the API tells it."""
    return {
        "id": str(prompt.pk),
        "messages": prompt.shown,
        "source": prompt.source.name,
        "user_id": prompt.source_user.external_id,
        "external_id": prompt.external_id,
        "split": prompt.source_user.split,
        "state": prompt.state,
        "use_case": prompt.use_case,
        "language": getattr(getattr(prompt, "language", None), "code", None),
        "categories": prompt.categories,
        "consent": prompt.consent,
        "consented_at": prompt.consented_at,
        "written_at": prompt.written_at,
        "created_at": prompt.created_at,
    }


class IsResearcherOrSends(IsResearcher):
    """Researchers, admins, and whoever sends prompts with a source's key."""

    def has_permission(self, request, view) -> bool:
        sends = request.method == "POST" and isinstance(request.user, Program)
        return sends or super().has_permission(request, view)


class Prompts(APIView):
    authentication_classes = [SourceKeyAuthentication, *api_settings.DEFAULT_AUTHENTICATION_CLASSES]
    permission_classes = [IsResearcherOrSends]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Prompts, newest first: `prompts`, and `next`, the value of `after` for more."""
        asked = {name: request.query_params.get(name, "") for name in intake.FILTERS}
        page = intake.prompts_page(**asked, after=request.query_params.get("after"), size=PAGE)
        return Response({"prompts": [prompt_body(prompt) for prompt in page], "next": page.next})

    @extend_schema(
        request=PROMPT_IN, responses={201: OBJECT, 200: OBJECT, 400: OBJECT, 401: OBJECT, 409: OBJECT, 429: OBJECT}
    )
    def post(self, request: Request) -> Response:
        """Store a prompt, or up to 1000 as {"prompts": […]}.

        With a source's key, or as a researcher. Answers with the counts of `import_prompts` and, in `prompts`, the id
        and state of each that is stored. What its source sent before under the same `external_id`, with the same text,
        is answered with the same id and `"already": true`; alone with 200. Another text under that number is a
        conflict. A single prompt that cannot be stored is an error of its own; among many it is counted and named. 429
        with `Retry-After` where a source's rate is used up; nothing of such a request is stored.
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
        program = request.user if isinstance(request.user, Program) else None
        if program is not None:
            rates.take(source=program.source, prompts=len(given))
        elif not many and isinstance(
            problem := read_prompt(body, source=DEFAULT_SOURCE, most_tokens=settings.PROMPT_MAX_TOKENS), Problem
        ):
            raise PromptRefused(problem)
        if program is not None:
            imported, outcomes = services.import_sent(source=program.source, rows=given)
        else:
            outcomes = []
            imported = services.import_prompts(
                rows=enumerate(given, start=1),
                name="API",
                source=DEFAULT_SOURCE,
                created_by=request.user,
                notice=outcomes.extend,
            )
        first = outcomes[0]
        if not many and first.problem and not (first.state or first.there):
            raise PromptRefused(first.problem, first.prompt_id)
        body = {**services.summary_of_outcomes(imported, outcomes), "prompts": [*map(stored_body, outcomes)]}
        body["prompts"] = [each for each in body["prompts"] if each]
        return Response(body, status=200 if not many and first.there else 201)


class OnePrompt(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, prompt_id) -> Response:
        """One prompt with what the personal-data filter found in it: positions in characters of the message as it came
        in. Of a held one the messages are those too, and a line in the audit trail says who read them."""
        prompt = intake.get_prompt(prompt_id)
        findings = queries.findings_of([prompt])[prompt.pk]
        body = prompt_body(prompt)
        if prompt.state == Prompt.State.HELD:
            triage.record_reading([prompt], reader=request.user, where="api")
            body["messages"] = deciding.text_of(prompt)
        elif prompt.state == Prompt.State.DROPPED:
            body["messages"] = queries.redacted_view(prompt, findings)
        original = deciding.original_of(prompt)
        return Response(
            {**body, "redacted": original is not None, "findings": [finding_body(each) for each in findings]}
        )


def import_body(found: Import) -> dict[str, Any]:
    """One import as the API tells it."""
    return {
        "id": str(found.pk),
        "name": found.name,
        "source": found.source,
        "state": found.state,
        "line": found.line,
        "lines": found.lines,
        "accepted": found.accepted,
        "rejected": found.rejected,
        "file_sha256": found.file_sha256,
        "job": str(found.job_id) if found.job_id else None,
        "error": found.job.error if found.job else "",
        "created_at": found.created_at,
        "finished_at": found.finished_at,
    }


class Imports(APIView):
    permission_classes = [IsResearcher]
    parser_classes = [MultiPartParser]

    @extend_schema(operation_id="imports", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """Imports, newest first: `imports`, and `next`, the value of `after` for more."""
        page = intake.imports_page(after=request.query_params.get("after"), size=PAGE)
        return Response({"imports": [import_body(found) for found in page], "next": page.next})

    @extend_schema(
        operation_id="import_start",
        request={
            "multipart/form-data": {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary"},
                    "source": {"type": "string", "maxLength": 100, "description": "of lines that name none"},
                },
                "required": ["file"],
            }
        },
        responses={202: OpenApiTypes.OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Begin to import a file of any size: JSONL, CSV, TSV or Parquet, also as .gz or .zst. Answers at once; look at
        it again for its progress. A file whose import is unfinished goes on where it was."""
        file = request.FILES.get("file")
        if file is None:
            raise Refusal(_("Send the file as the part `file` of a multipart/form-data body."))
        begun = importing.start_import(
            upload=file, name=file.name, source=str(request.data.get("source", "")), created_by=request.user
        )
        return Response(import_body(begun), status=202)


class OneImport(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="import", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, import_id) -> Response:
        """How far one import is: all lines up to `line` are done."""
        return Response(import_body(importing.get_import(import_id)))


class ImportProblems(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="import_problems",
        parameters=[OpenApiParameter("reason", str), OpenApiParameter("after", str)],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request: Request, import_id) -> Response:
        """Lines that did not go in, in the order of the file: `problems`, and `next`, the value of `after` for more.
        `prompt` is the held one, or for a duplicate the one that is there."""
        found = importing.get_import(import_id)
        asked = {name: request.query_params.get(name, "") for name in ("reason", "after")}
        page = intake.problems_page(found, **asked, size=PAGE)
        problems = [
            {
                "line": problem.line,
                "reason": problem.reason,
                "detail": problem.detail,
                "prompt": str(problem.prompt_id) if problem.prompt_id else None,
            }
            for problem in page
        ]
        return Response({"problems": problems, "next": page.next})


class ImportResume(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="import_resume", request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, import_id) -> Response:
        """Go on with an import that was stopped; 409 where it is not, or its file is not kept here."""
        return Response(import_body(importing.resume_import(import_id=import_id, actor=request.user)))


class ImportGiveUp(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="import_give_up", request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, import_id) -> Response:
        """End an import that was stopped; what came in stays. 409 where it runs or is done."""
        return Response(import_body(importing.give_up_import(import_id=import_id, actor=request.user)))


def finding_body(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.pk,
        "message": finding.message_index,
        "start": finding.start,
        "end": finding.end,
        "kind": finding.kind,
        "score": finding.score,
        "recogniser": finding.recogniser,
        "version": finding.version,
        "dismissed": finding.dismissed,
    }


DECISION = {
    "application/json": {
        "type": "object",
        "properties": {
            "outcome": {"enum": list(deciding.TEAMS_WORD)},
            "reason": {"type": "string", "maxLength": deciding.REASON_CHARACTERS},
            "real": {
                "type": "array",
                "items": {"type": "integer"},
                "nullable": True,
                "description": "ids of the findings that are personal data; null for all",
            },
            "marks": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"words": {"type": "string"}, "kind": {"enum": list(personal_data.KINDS)}},
                    "required": ["words"],
                },
                "description": "what the filter did not see, as it stands in the prompt",
            },
            "blind": {"type": "string", "format": "uuid", "nullable": True, "description": "as triage gave it"},
        },
        "required": ["outcome"],
    }
}
BLIND = {
    "application/json": {
        "type": "object",
        "properties": {"blind": {"type": "string", "format": "uuid", "nullable": True}},
    }
}
POLICY = {
    "application/json": {
        "type": "object",
        "properties": {
            "preset": {"enum": Policy.Preset.values},
            "hold_at": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "note": {"type": "string", "maxLength": 300},
            "replaces": {"type": "integer", "description": "the number of the version that you saw"},
            "splits": {
                "type": "object",
                "description": "of a policy of your own: {split: {others: action, kinds: {kind: action}}}",
            },
        },
        "required": ["preset"],
    }
}


class Triage(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(
        operation_id="prompts_triage",
        parameters=[OpenApiParameter("after", str), OpenApiParameter("size", int, description="1 to 20")],
        responses=OBJECT,
    )
    def get(self, request: Request) -> Response:
        """The next prompts that wait for a person's word: `prompts`, and `next`, the value of `after` for more. One
        with `blind` is of a random sample, and comes without findings. Each leaves a line in the audit trail."""
        size = request.query_params.get("size", "1")
        if not (size.isascii() and size.isdigit() and 1 <= int(size) <= triage.MOST_AT_ONCE):
            raise Refusal(_("`size` must be 1 to {most}.").format(most=triage.MOST_AT_ONCE))
        turn = triage.turn(reader=request.user, after=request.query_params.get("after"), size=int(size))
        items = [
            {
                "id": str(item.prompt.pk),
                "blind": str(item.blind) if item.blind else None,
                "messages": [
                    {"role": message.role, "content": "".join(piece.text for piece in message.pieces)}
                    for message in item.marked
                ],
                "split": item.prompt.source_user.split,
                "source": item.prompt.source.name,
                "findings": [finding_body(finding) for finding in item.findings],
                "flags": [{"by": flag.by.name, "note": flag.note, "at": flag.created_at} for flag in item.flags],
            }
            for item in turn.items
        ]
        return Response({"prompts": items, "next": turn.next})


class Decide(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="prompt_decide", request=DECISION, responses={200: OBJECT, 409: OBJECT})
    def post(self, request: Request, prompt_id) -> Response:
        """Keep (`release`), redact or drop a prompt. 409 where somebody was quicker; the message says who."""
        fields = Fields(request.data)
        real = fields.any("real", None)
        if real is not None and not (
            isinstance(real, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in real)
        ):
            raise Refusal(_("`real` must be a list of ids of findings, or null."))
        said = {
            "outcome": fields.text("outcome"),
            "reason": fields.text("reason", "", longest=1000),
            "real": real,
            "marks": deciding.read_marks(fields.any("marks", [])),
            "blind": read_id(fields.any("blind", None), name="blind"),
        }
        fields.done()
        decision = deciding.decide(prompt_id=prompt_id, decided_by=request.user, **said)
        prompt = intake.get_prompt(prompt_id)
        return Response({"id": str(prompt.pk), "state": prompt.state, "decision": decision.pk if decision else None})


class Undo(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="prompt_undo", request=BLIND, responses={200: OBJECT, 409: OBJECT})
    def post(self, request: Request, prompt_id) -> Response:
        """Take back your latest word on a prompt: it is as it was before."""
        fields = Fields(request.data or {})
        blind = read_id(fields.any("blind", None), name="blind")
        fields.done()
        prompt = deciding.undo(prompt_id=prompt_id, decided_by=request.user, blind=blind)
        return Response({"id": str(prompt.pk), "state": prompt.state})


def read_id(value: Any, *, name: str) -> uuid.UUID | None:
    """An id in a body, None for null."""
    try:
        return None if value is None else uuid.UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise Refusal(_("`{name}` must be an id.").format(name=name)) from None


class OriginalText(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="prompt_original", request=None, responses=OBJECT)
    def post(self, request: Request, prompt_id) -> Response:
        """The messages of a prompt as they came in. Each time a line in the audit trail says who read them."""
        prompt = intake.get_prompt(prompt_id)
        triage.record_reading([prompt], reader=request.user, where="original")
        return Response({"id": str(prompt.pk), "messages": deciding.text_of(prompt)})


def share_body(share: Share) -> dict[str, Any]:
    return {
        "value": share.value,
        "ci95": None if share.value is None else [share.low, share.high],
        "count": share.count,
        "of": share.of,
    }


def estimate_body(estimate: Estimate) -> dict[str, Any]:
    return {name: share_body(getattr(estimate, name)) for name in ("precision", "recall", "missed")}


class PersonalData(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(operation_id="personal_data", responses=OBJECT)
    def get(self, request: Request) -> Response:
        """The detector and the policy in force, how many prompts went through an older one, and how much is found:
        precision and recall with 95 % intervals, in all and by kind."""
        found, sample = triage.estimates(), triage.latest_sample()
        return Response(
            {
                **outputs.policy_in_words(),
                "scanned_by_older": scanning.pending(),
                "waiting": triage.waiting_count()[0],
                "estimates": {
                    **estimate_body(found.all),
                    "kinds": {each.kind: estimate_body(each) for each in found.kinds},
                    "decided": found.decided,
                    "judged_blind": found.judged,
                    "found": found.found,
                    "passed": found.passed,
                },
                "sample": {"id": sample.pk, "state": sample.state, **triage.sample_progress(sample)}
                if sample
                else None,
            }
        )


class PolicyInForce(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="personal_data_policy", responses=OBJECT)
    def get(self, request: Request) -> Response:
        """What follows from a finding, by split and kind."""
        return Response(policies.current_rules().as_json())

    @extend_schema(operation_id="personal_data_policy_set", request=POLICY, responses={201: OBJECT, 409: OBJECT})
    def post(self, request: Request) -> Response:
        """A new version of the policy, in force at once. Prompts that are here go through it when they are scanned
        again. 409 where somebody changed it since the version that `replaces` names."""
        fields = Fields(request.data)
        said = {
            "preset": fields.text("preset"),
            "hold_at": fields.number("hold_at", None),
            "note": fields.text("note", "", longest=1000),
            "replaces": fields.integer("replaces", None, least=1, most=2**31 - 1),
            "rules": read_splits(fields.any("splits", {})),
        }
        fields.done()
        policy = policies.set_policy(actor=request.user, **said)
        return Response(policies.rules_of(policy).as_json(), status=201)


def read_splits(given: Any) -> dict[tuple[str, str], str]:
    """{(split, kind): action} of the shape that `Rules.as_json` has."""
    rules: dict[tuple[str, str], str] = {}
    for split, entry in object_body(given).items():
        entry = object_body(entry)
        named = {policies.OTHERS: entry.get("others", ""), **object_body(entry.get("kinds", {}))}
        rules |= {(split, kind): action if isinstance(action, str) else "" for kind, action in named.items()}
    return rules


class Rescan(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(operation_id="personal_data_rescan", request=None, responses={202: OBJECT})
    def post(self, request: Request) -> Response:
        """Scan again what went through an older detector or policy. The answer names the job."""
        job = scanning.start_rescan(actor=request.user)
        return Response({"job": str(job.pk)}, status=202)


class Samples(APIView):
    permission_classes = [IsAdmin]

    @extend_schema(
        operation_id="personal_data_samples",
        request={"application/json": {"type": "object", "properties": {"wanted": {"type": "integer"}}}},
        responses={202: OBJECT},
    )
    def post(self, request: Request) -> Response:
        """Draw a blind sample of prompts that passed; it comes mixed into triage."""
        fields = Fields(request.data)
        wanted = fields.integer("wanted", 200, least=triage.LEAST, most=triage.MOST)
        fields.done()
        sample = triage.start_sample(wanted=wanted, actor=request.user)
        return Response({"sample": sample.pk}, status=202)
