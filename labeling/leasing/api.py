"""Tasks over HTTP. The id in these addresses is the lease's: a labeler's own handle on a task."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsLabeler, json_response, object_body
from labeling.forms.queries import default_definition
from labeling.forms.wording import form_in_language
from labeling.governance import personal_data
from labeling.governance.deciding import MARK_CHARACTERS
from labeling.intake.models import UseCase
from labeling.leasing import following, queries, services
from labeling.leasing.answers import REASON_CHARACTERS, check_key
from labeling.leasing.kinds import kind_of
from labeling.leasing.models import Lease
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.refusals import Refusal
from labeling.sampling.models import Batch, BriefForm

# Schemas for OpenAPI alone; what is accepted is decided by the services.
WHOLE = {"type": "integer"}
TEXT = {"type": "string"}
UUID = {"type": "string", "format": "uuid"}
TIME = {"type": "string", "format": "date-time"}


def described(properties: dict, required: tuple[str, ...] = ()) -> dict:
    return {"type": "object", "properties": properties, "required": list(required or properties)}


CLOCK = {
    "state": {"enum": [str(state) for state in Lease.State]},
    "expires_at": TIME,
    "seconds_left": WHOLE,
    "grace_seconds": WHOLE,
}
BRIEF = described(
    {"form": {"enum": BriefForm.values}, "use_case": TEXT, "statement": TEXT, "pairs": WHOLE, "note": TEXT}
)
MESSAGES = {"type": "array", "items": described({"role": TEXT, "content": TEXT})}
TASK = described(
    {
        "id": UUID,
        "kind": {"enum": [str(kind) for kind in Batch.Kind]},
        **CLOCK,
        "revision": WHOLE,
        "replaces": {**UUID, "nullable": True},
        "idempotency_key": TEXT,
        "messages": MESSAGES,
        "brief": {**BRIEF, "nullable": True, "description": "what prompt is to be written, where there is none yet"},
        "completions": {"type": "array", "items": described({"id": UUID, "text": TEXT})},
        "written": {
            **described({"turns": MESSAGES, "text": TEXT, "form": TEXT, "use_case": TEXT}, ("turns", "text")),
            "nullable": True,
            "description": "of a review: the answer that it is about; or the prompt, whose parts (instruction, query, "
            "response, query …) are `turns` and, the last, `text`",
        },
        "order_ranked": {"type": "array", "items": UUID},
        "form": {
            **described({"id": WHOLE, "number": WHOLE, "definition": {"type": "object"}}),
            "nullable": True,
        },
        "words": {
            **described({"low": {**WHOLE, "nullable": True}, "high": {**WHOLE, "nullable": True}}),
            "nullable": True,
        },
        "draft": {"type": "object", "nullable": True},
        "draft_version": WHOLE,
        "answer": {"type": "object", "nullable": True},
        "urls": {"type": "object", "additionalProperties": TEXT},
        "suggestions": {"type": "boolean", "description": "whether a model may be asked for a text to begin from"},
        "idle_seconds": WHOLE,
        "categories": {"type": "array", "items": TEXT},
        "guideline": {**described({"id": WHOLE, "title": TEXT}), "nullable": True},
    }
)
HEAD = {
    "revision": WHOLE,
    "replaces": {**UUID, "nullable": True},
    "reason": {**TEXT, "maxLength": REASON_CHARACTERS, "description": "why, where it corrects an answer"},
    "active_seconds": WHOLE,
}
SAID = {"flags": {"type": "array", "items": TEXT}, "values": {"type": "object"}}
JUDGMENT = described(
    {
        "id": UUID,
        "rank": {"type": "integer", "minimum": 1, "maximum": 26, "nullable": True},
        "rating": {"type": "integer", "minimum": 1, "maximum": 7, "nullable": True},
        **SAID,
    },
    required=("id",),
)
RANKING = described(
    {
        **HEAD,
        "outcome": {"enum": ["ranked", "all_bad", "cannot_rank"]},
        "completions": {"type": "array", "items": JUDGMENT},
        "strength": {"type": "integer", "minimum": 1, "maximum": 9, "nullable": True},
        "same": {"type": "array", "items": {"type": "array", "items": UUID}},
        "by_ratings": {"type": "boolean"},
        "prompt": described(SAID, required=()),
        "note": TEXT,
    },
    required=("completions",),
)
DEMONSTRATION = described(
    {
        **HEAD,
        "text": TEXT,
        "pasted": {**WHOLE, "description": "characters of it that were pasted or dropped in"},
        "suggestions": {"type": "array", "items": WHOLE, "description": "numbers of those that went into it"},
    },
    required=("text",),
)
DIALOGUE = described(
    {
        **DEMONSTRATION["properties"],
        "turns": {**MESSAGES, "description": "between the prompt and the last answer, which is `text`"},
    },
    required=("turns", "text"),
)
PAIR = described({"query": TEXT, "response": TEXT})
WRITTEN_PROMPT = described(
    {
        **HEAD,
        "use_case": {"enum": UseCase.values},
        "text": {**TEXT, "description": "the prompt; of few_shot the three below in its place"},
        "instruction": TEXT,
        "pairs": {"type": "array", "items": PAIR, "minItems": 2, "maxItems": 20},
        "query": {**TEXT, "description": "the last one, which has no response"},
        "pasted": {**WHOLE, "description": "characters of it that were pasted or dropped in"},
    },
    required=("use_case",),
)
REVIEW = described(
    {
        **HEAD,
        "verdict": {"enum": ["accept", "edit", "send_back"]},
        "turns": {**MESSAGES, "description": "of an edited dialogue: those before its last answer"},
        "text": {**TEXT, "nullable": True, "description": "the edited answer; of an edit alone"},
        "pasted": {**WHOLE, "description": "characters of the edit that were pasted or dropped in"},
        "note": {**TEXT, "description": "to its author; where it is sent back, what to change"},
    },
    required=("verdict",),
)
ANSWER = described({"id": UUID, "revision": WHOLE, "surplus": {"type": "boolean"}, "created_at": TIME})
NEXT = {**TASK, "nullable": True}
ANSWER_AND_NEXT = described({**ANSWER["properties"], "next": NEXT, "ahead": TASK}, required=tuple(ANSWER["properties"]))
AHEAD = OpenApiParameter("ahead", bool, description="1: the answer carries the `next` task, begun, or null.")
HAS = OpenApiParameter(
    "has",
    str,
    description="With ahead=1, the id of the task that you fetched ahead: where `next` is that one, of it only its id "
    "and clock are sent, and with it comes the one behind it as `ahead`, if one waits.",
)
REFUSAL = described({"error": described({"code": TEXT, "message": TEXT})})
KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="Chosen by the caller for this one answer, and the same on every retry.",
)


MARK = described(
    {
        "words": {**TEXT, "maxLength": MARK_CHARACTERS, "description": "as they stand in the prompt"},
        "kind": {"enum": list(personal_data.KINDS), "description": "left out where you cannot say"},
    },
    required=("words",),
)


def sent(schema: dict) -> dict:
    return {"application/json": schema}


def answers(**by_status: dict | str) -> dict:
    """OpenAPI responses from `s200=schema` or `s404="When"`; every refusal has one shape."""
    return {
        int(name[1:]): OpenApiResponse(REFUSAL, description=schema) if isinstance(schema, str) else schema
        for name, schema in by_status.items()
    }


def task_body(lease: Lease) -> dict:
    """A task as its labeler may see it: no model, no seed, no endpoint, no batch, nobody else's answer."""
    kind = kind_of(lease)
    given = kind.answers(lease) if lease.state == Lease.State.SUBMITTED else []
    latest = given[-1] if given else None
    revision = latest.revision + 1 if latest else 1
    return {
        "id": str(lease.pk),
        "kind": lease.task.kind,
        **clock_body(lease),
        "revision": revision,
        "replaces": str(latest.pk) if latest else None,
        "idempotency_key": f"{lease.pk}:{revision}",
        "messages": lease.task.item.messages,
        "brief": lease.task.item.brief,
        "completions": queries.completions_shown(lease),
        "written": kind.written(lease),
        "order_ranked": lease.order_ranked,
        "form": form_body(lease),
        "words": words_body(lease),
        "draft": lease.draft if lease.draft_version and not latest else None,
        "draft_version": lease.draft_version,
        "answer": kind.content(latest) if latest else None,
        "urls": urls_of(lease),
        "suggestions": suggestions_offered(lease),
        "idle_seconds": team_settings().idle_seconds,
        "categories": lease.task.item.categories,
        "guideline": {"id": lease.guideline.number, "title": lease.guideline.title} if lease.guideline else None,
    }


def form_body(lease: Lease) -> dict | None:
    """What is asked of the completions, where anything is: the default where the lease names no version."""
    if lease.task.kind != Batch.Kind.RANKING:
        return None
    version = lease.form_version
    if version is None:
        return {"id": None, "number": None, "definition": form_in_language(default_definition())}
    return {"id": version.pk, "number": version.number, "definition": form_in_language(version.definition)}


def words_body(lease: Lease) -> dict | None:
    """How many words are wanted of what is written, as a hint; null where nobody said, or nothing is written."""
    if lease.task.kind == Batch.Kind.RANKING:
        return None
    low, high = lease.task.batch.words_low, lease.task.batch.words_high
    return {"low": low, "high": high} if low or high else None


def suggestions_offered(lease: Lease) -> bool:
    """Whether a model may be asked for a text to begin from."""
    if lease.task.kind not in (Batch.Kind.DEMONSTRATION, Batch.Kind.DIALOGUE):
        return False
    endpoint = lease.task.batch.suggestions
    return endpoint is not None and endpoint.active


def urls_of(lease: Lease) -> dict[str, str]:
    """Where the page of a task sends what, so that it can show the next task in its own place."""
    task = reverse("api:task", kwargs={"lease_id": lease.pk})
    actions = ("submit", "skip", "heartbeat", "draft", "return", "begin", "correct", "question", "flag", "suggestions")
    return {**{name: f"{task}{name}/" for name in actions}, "page": reverse("task", kwargs={"lease_id": lease.pk})}


def what_follows(labeler: User, *, has: str | None) -> dict:
    """`next`, the task after the one just answered, begun; null where nothing waits or something stands before it.

    Who `has` one fetched ahead gets the one behind it as `ahead`, and of the one that they have the clock alone.
    """
    ahead = None
    try:
        if has is None:
            lease = services.grant_lease(labeler=labeler)
        else:
            lease, ahead = services.go_on(labeler=labeler, lease_id=has)
    except Refusal:
        lease = None
    if lease is None:
        following = None
    elif str(lease.pk) == has:
        following = {"id": has, **clock_body(lease)}
    else:
        following = task_body(lease)
    return {"next": following} | ({"ahead": task_body(ahead)} if ahead else {})


def clock_body(lease: Lease) -> dict:
    left, grace = queries.seconds_left(lease)
    clock = {
        "state": lease.state,
        "expires_at": lease.expires_at.isoformat(),
        "seconds_left": left,
        "grace_seconds": grace,
    }
    # An open one says nothing of its task here, and has no need to.
    if lease.state in services.LEFT and services.is_taken_back(lease):
        clock["taken_back"] = services.why_taken_back(lease).message
    return clock


class TaskView(APIView):
    permission_classes = [IsLabeler]
    # Whether `answer`, of the views that `lean` serves, looks at the body.
    reads = False

    @staticmethod
    def clock(request, lease_id: str, **more: object) -> Response:
        lease = queries.get_lease(lease_id=lease_id, labeler=request.user)
        return Response({**clock_body(lease), **more})

    @staticmethod
    def granted(lease: Lease | None) -> HttpResponse:
        return HttpResponse(status=204) if lease is None else json_response(task_body(lease))


class NextTask(TaskView):
    @extend_schema(
        operation_id="tasks_next",
        request=None,
        responses=answers(s200=TASK, s403="Not for this role", s204="Nothing waits for you"),
    )
    def post(self, request) -> HttpResponse:
        """Take the next task: the one you hold, else the one fetched ahead, else one of yours that ran out, else a new
        one."""
        return self.answer(request, request.user, {})

    @classmethod
    def answer(cls, request, user: User, data: Any) -> HttpResponse:
        return cls.granted(services.grant_lease(labeler=user))


class AheadTask(TaskView):
    @extend_schema(
        operation_id="tasks_ahead",
        request=None,
        responses=answers(s200=TASK, s403="Not for this role", s204="Nothing waits, or no task is open"),
    )
    def post(self, request) -> HttpResponse:
        """Reserve the task behind the one you hold. It goes back unless it is begun or the open one shows life."""
        return self.answer(request, request.user, {})

    @classmethod
    def answer(cls, request, user: User, data: Any) -> HttpResponse:
        return cls.granted(services.fetch_ahead(labeler=user))


class OneTask(TaskView):
    @extend_schema(
        operation_id="task", responses=answers(s200=TASK, s404="No task of yours", s409="Its prompt was taken back")
    )
    def get(self, request, lease_id: str) -> Response:
        """One of your own tasks, with your draft or your answer."""
        lease = queries.get_lease(lease_id=lease_id, labeler=request.user)
        if services.is_taken_back(lease):
            raise services.why_taken_back(lease)
        return Response(task_body(lease))


class Submit(TaskView):
    reads = True

    @extend_schema(
        operation_id="task_submit",
        parameters=[KEY, AHEAD, HAS],
        request=sent({"oneOf": [RANKING, DEMONSTRATION, DIALOGUE, WRITTEN_PROMPT, REVIEW]}),
        responses=answers(
            s201=ANSWER_AND_NEXT,
            s200=ANSWER_AND_NEXT,
            s400="The answer is not complete, or not one",
            s404="No task of yours",
            s409="The key was used for another answer, there is an answer that `replaces` does not name, or it is too "
            "old to be corrected",
        ),
    )
    def post(self, request, lease_id: str) -> HttpResponse:
        """Answer a task, or correct your answer. 201 when it is new, 200 with the first answer for a repeat."""
        return self.answer(request, request.user, request.data, lease_id)

    @classmethod
    def answer(cls, request, user: User, data: Any, lease_id: str) -> HttpResponse:
        lease = services.get_own(lease_id=lease_id, labeler=user)
        answer, created = kind_of(lease).submit(
            lease=lease,
            answer=object_body(data),
            idempotency_key=check_key(request.headers.get("Idempotency-Key")),
        )
        body = {
            "id": str(answer.pk),
            "revision": answer.revision,
            "surplus": answer.surplus,
            "created_at": answer.created_at.isoformat(),
        }
        if request.GET.get("ahead") == "1":
            # Only after the answer is safe: whatever becomes of the next task, this one is acknowledged.
            body |= what_follows(user, has=request.GET.get("has"))
        return json_response(body, status=201 if created else 200)


class Skip(TaskView):
    @extend_schema(
        operation_id="task_skip",
        request=sent(described({"reason": {**TEXT, "maxLength": REASON_CHARACTERS}})),
        responses=answers(s200=described(CLOCK), s400="No reason", s404="No task of yours", s409="Answered already"),
    )
    def post(self, request, lease_id: str) -> Response:
        """Leave a task for good, and say why."""
        reason = object_body(request.data).get("reason")
        services.skip_lease(lease_id=lease_id, labeler=request.user, reason=reason)
        return self.clock(request, lease_id)


class Heartbeat(TaskView):
    @extend_schema(
        operation_id="task_heartbeat",
        request=None,
        responses=answers(s200=described(CLOCK), s404="No task of yours", s409="Its place is gone, or it is answered"),
    )
    def post(self, request, lease_id: str) -> Response:
        """Keep your place at a task. One that ran out is taken again if it is free."""
        services.renew_lease(lease_id=lease_id, labeler=request.user)
        return self.clock(request, lease_id)


class Begin(TaskView):
    @extend_schema(
        operation_id="task_begin",
        request=None,
        responses=answers(s200=described(CLOCK), s404="No task of yours", s409="Another is open, or its place is gone"),
    )
    def post(self, request, lease_id: str) -> Response:
        """Begin the task that was fetched ahead: its clock starts. Beginning twice is beginning once."""
        services.renew_lease(lease_id=lease_id, labeler=request.user)
        return self.clock(request, lease_id)


class Correct(TaskView):
    @extend_schema(
        operation_id="task_correct",
        request=None,
        responses=answers(
            s200=described({"opened_at": TIME}), s404="No task of yours", s409="No answer, or too old to be corrected"
        ),
    )
    def post(self, request, lease_id: str) -> Response:
        """Open your answer to correct it. Of a correction no more `active_seconds` count than since then."""
        lease = services.begin_correction(lease_id=lease_id, labeler=request.user)
        return Response({"opened_at": lease.correction_opened_at.isoformat()})


class Draft(TaskView):
    reads = True

    @extend_schema(
        operation_id="task_draft",
        request=sent(described({"version": {"type": "integer", "minimum": 1}, "draft": {"type": "object"}})),
        responses=answers(
            s200=described({**CLOCK, "saved": {"type": "boolean"}, "draft_version": WHOLE}),
            s404="No task of yours",
            s409="Answered or skipped already",
        ),
    )
    def post(self, request, lease_id: str) -> HttpResponse:
        """Save work in progress. A draft with the number of the stored one, or an older one, is not kept."""
        return self.answer(request, request.user, request.data, lease_id)

    @extend_schema(exclude=True)
    def put(self, request, lease_id: str) -> HttpResponse:
        return self.post(request, lease_id)

    @classmethod
    def answer(cls, request, user: User, data: Any, lease_id: str) -> HttpResponse:
        body = object_body(data)
        lease, saved = services.save_draft(
            lease_id=lease_id, labeler=user, draft=body.get("draft"), version=body.get("version")
        )
        return json_response({**clock_body(lease), "saved": saved, "draft_version": lease.draft_version})


class FlagPrompt(TaskView):
    @extend_schema(
        operation_id="task_flag",
        request=sent(
            described({"marks": {"type": "array", "items": MARK}, "note": {**TEXT, "maxLength": 300}}, required=())
        ),
        responses=answers(s200=described(CLOCK), s400="Neither marks nor a note", s404="No task of yours"),
    )
    def post(self, request, lease_id: str) -> Response:
        """Say that the prompt has personal data in it. It is taken back at once from who has it, you too, and waits for
        the team; drafts are kept."""
        body = object_body(request.data)
        following.flag_prompt(
            lease_id=lease_id, labeler=request.user, marks=body.get("marks") or [], note=body.get("note") or ""
        )
        return self.clock(request, lease_id)


class GiveBack(TaskView):
    @extend_schema(
        operation_id="task_return",
        request=None,
        responses=answers(s200=described(CLOCK), s404="No task of yours", s409="Answered or skipped already"),
    )
    def post(self, request, lease_id: str) -> Response:
        """Free your place and keep your draft; the task comes back to you first."""
        services.return_lease(lease_id=lease_id, labeler=request.user)
        return self.clock(request, lease_id)
