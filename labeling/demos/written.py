"""Take prompts that labelers write, and bring them into the pool by the gate that all prompts go through.

Where they are reviewed, `labeling.reviews.admitting` brings them in by what was said of them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.background import services as background
from labeling.demos.layout import messages_of
from labeling.demos.models import Admission, WrittenPrompt
from labeling.governance.services import admit_prompt, bring_back_prompt, take_back_prompt
from labeling.intake.models import Prompt, UseCase
from labeling.intake.services import text_key
from labeling.leasing.answers import INT, BadAnswer, Head, check_key, digest_of, read_head, whole_number
from labeling.leasing.reviewing import open_review
from labeling.leasing.services import lock_lease, settle_lease
from labeling.people.models import User
from labeling.refusals import NotFound, Refusal
from labeling.sampling.briefs import LEAST_PAIRS, MOST_PAIRS
from labeling.sampling.models import Batch, BriefForm

# Where such prompts come from, and what their writers agreed to.
SOURCE = "labelers"
CONSENT = "written for the team"
ADMIT = "admit_written_prompt"  # the job
FIELDS = {
    BriefForm.PLAIN: ("text",),
    BriefForm.FEW_SHOT: ("instruction", "pairs", "query"),
    BriefForm.USER_BASED: ("text",),
}


@dataclass(frozen=True)
class Answer:
    """A prompt as it was sent and found good."""

    head: Head
    form: str
    content: dict
    use_case: str
    pasted: int

    def digest(self) -> str:
        return digest_of({"content": self.content, "use_case": self.use_case, "replaces": self.head.replaces})


@transaction.atomic(durable=True)
def submit_written_prompt(
    *, lease_id: uuid.UUID | str, labeler: User, answer: Any, idempotency_key: str
) -> tuple[WrittenPrompt, bool]:
    """The stored prompt, and whether it is new: the same key with the same prompt gets the first one again. A job
    brings it into the pool; where prompts are reviewed, that of a review does, and this one only takes out what it
    replaces.

    `answer` is the submit body. Raises what `rankings.services.submit_ranking` raises.
    """
    key = check_key(idempotency_key)
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.task.kind != Batch.Kind.PROMPT:
        raise Refusal(_("This task asks for no prompt; send what it asks for."))
    read = read_answer(answer, brief=lease.task.item.brief)
    place = settle_lease(
        lease=lease, answers=WrittenPrompt.objects.all(), idempotency_key=key, digest=read.digest(), head=read.head
    )
    if place.earlier is not None:
        return place.earlier, False
    written = WrittenPrompt.objects.create(
        **place.fields, form=read.form, content=read.content, use_case=read.use_case, pasted=read.pasted
    )
    open_review(written)
    ask_for_admission(written, key=str(written.pk), asked_by=labeler)
    return written, True


def ask_for_admission(written: WrittenPrompt, *, key: str, asked_by: User) -> None:
    """Queue the job that brings `written` into the pool or keeps it out, once for each `key`."""
    background.enqueue(kind=ADMIT, arguments={"written": str(written.pk)}, key=f"{ADMIT}:{key}", created_by=asked_by)


# Reading


def read_answer(answer: Any, *, brief: dict) -> Answer:
    """`answer` as a prompt of the form that `brief` asks for. Raises BadAnswer where a part is missing or blank, there
    are too few examples, or the whole is longer than a prompt may be.

    `pasted` is the browser's count of characters that were pasted, some of which may be gone again: at most the whole.
    """
    form = brief["form"]
    head = read_head(answer, fields=(*FIELDS[form], "use_case", "pasted"))
    use_case = answer.get("use_case")
    if use_case not in UseCase.values:
        raise BadAnswer(
            _("Choose the use case that your prompt is for: {values}.").format(values=", ".join(UseCase.values))
        )
    content = _read_few_shot(answer, least=brief["pairs"]) if form == BriefForm.FEW_SHOT else _read_plain(answer)
    length = check_length(form, content)
    pasted = whole_number(answer.get("pasted", 0), where="`pasted`", low=0, high=INT)
    return Answer(head=head, form=form, content=content, use_case=use_case, pasted=min(pasted, length))


def check_length(form: str, content: dict) -> int:
    """How many characters a model would get. Raises BadAnswer where they are more than a prompt may have."""
    length = sum(len(message["content"]) for message in messages_of(form, content))
    if length > settings.PROMPT_MAX_CHARACTERS:
        raise BadAnswer(
            _("The prompt has {length} characters; at most {most} are kept. Shorten it.").format(
                length=length, most=settings.PROMPT_MAX_CHARACTERS
            )
        )
    return length


def _read_plain(answer: dict) -> dict:
    return {"text": _text(answer.get("text"), where="`text`", what=_("The prompt"))}


def _read_few_shot(answer: dict, *, least: int) -> dict:
    pairs = answer.get("pairs")
    if not isinstance(pairs, list):
        raise BadAnswer(
            _("`pairs` must be a list of examples, each with query and response, not {type}.").format(
                type=json_type(pairs)
            )
        )
    least = max(LEAST_PAIRS, least)
    if not least <= len(pairs) <= MOST_PAIRS:
        raise BadAnswer(
            _("Examples: {count}; this task asks for {least} to {most}.").format(
                count=len(pairs), least=least, most=MOST_PAIRS
            )
        )
    return {
        "instruction": _text(answer.get("instruction"), where="`instruction`", what=_("The instruction")),
        "pairs": [_read_pair(pair, number) for number, pair in enumerate(pairs, 1)],
        "query": _text(answer.get("query"), where="`query`", what=_("The last query")),
    }


def _read_pair(pair: Any, number: int) -> dict:
    if not isinstance(pair, dict) or set(pair) - {"query", "response"}:
        raise BadAnswer(
            _("Example {number} must be an object with `query` and `response`, and nothing else.").format(number=number)
        )
    what = {"query": _("The query of example {number}"), "response": _("The response of example {number}")}
    return {
        name: _text(
            pair.get(name),
            where=_("`{name}` of example {number}").format(name=name, number=number),
            what=said.format(number=number),
        )
        for name, said in what.items()
    }


def _text(value: Any, *, where: str, what: str) -> str:
    if not isinstance(value, str):
        raise BadAnswer(
            _("{where} must be text that you wrote, not {type}.").format(where=where, type=json_type(value))
        )
    if not value.strip():
        raise BadAnswer(_("{what} is empty; write it, or skip the task with a reason.").format(what=what))
    return value


# Into the pool


def get_written_prompt(written_id: uuid.UUID | str) -> WrittenPrompt:
    """NotFound for an unknown id."""
    try:
        return WrittenPrompt.objects.get(pk=uuid.UUID(str(written_id)))
    except (ValueError, WrittenPrompt.DoesNotExist):
        raise NotFound(_("There is no written prompt with this id.")) from None


@dataclass(frozen=True)
class Said:
    """What a review that counts says of a written prompt: `content` is what is to go in, None where it is sent back,
    and `text_id` the row that has it. `group` is the reviewer's then, `because` what is noted of a prompt that comes
    or goes."""

    review_id: uuid.UUID
    by: User
    group: str
    content: dict | None
    text_id: uuid.UUID
    because: str


@transaction.atomic(durable=True)
def admit_written_prompt(*, written: WrittenPrompt) -> Admission:
    """What the gate says of `written`, which nobody reviews; the second time the same again. May be called by several
    at once.

    A correction takes the prompt of what it replaces out of the pool, whatever becomes of itself: its writer took that
    one back. Where the text is the same, it keeps the prompt, with the use case as corrected.
    """
    return settle_admission(written, revisions=lock_revisions(written))


def lock_revisions(written: WrittenPrompt) -> list[WrittenPrompt]:
    """All revisions of `written`, in order, locked: whether there is a newer one, and what became of the older, is
    settled for the caller's transaction to see."""
    revisions = WrittenPrompt.objects.select_for_update(no_key=True, of=("self",))
    return list(revisions.filter(lease=written.lease_id).order_by("revision"))


def settle_admission(written: WrittenPrompt, *, revisions: list[WrittenPrompt], said: Said | None = None) -> Admission:
    """What the gate says of `written`, by what was `said` of it where it is reviewed; in the caller's transaction,
    which has locked the `revisions`."""
    found = list(Admission.objects.filter(written__in=revisions).select_related("prompt").order_by("id"))
    about = {"written": written, "review_id": said and said.review_id}
    for admission in found:
        if (admission.written_id, admission.review_id) == (written.pk, about["review_id"]):
            return admission
    if any(admission.prompt and admission.prompt.state == Prompt.State.ERASED for admission in found):
        return Admission.objects.create(**about, reason=Admission.Reason.OTHER, detail="erased")
    refused = _refused_outright(written, newest=revisions[-1], said=said)
    if refused == Admission.Reason.CORRECTED:
        return Admission.objects.create(**about, reason=refused)
    content = said.content if said else written.content
    messages = None if refused else messages_of(written.form, content)
    because, by = (said.because, said.by) if said else (corrected(written), written.labeler)
    kept = take_out(found, because=because, decided_by=by, but=messages)
    if refused:
        return Admission.objects.create(**about, reason=refused)
    if kept is not None:
        Prompt.objects.filter(pk=kept.pk).update(use_case=written.use_case)
        return Admission.objects.create(**about, prompt=kept)
    outcome = admit_prompt(
        {
            "messages": messages,
            "source": SOURCE,
            "user_id": f"labeler-{written.labeler_id}",
            "external_id": str(said.text_id if said else written.pk),
            "consent": CONSENT,
            "use_case": written.use_case,
        }
    )
    problem = outcome.problem
    if problem is None or outcome.state:
        return Admission.objects.create(**about, prompt_id=outcome.prompt_id)
    known_reason = problem.reason if problem.reason in Admission.Reason.values else Admission.Reason.OTHER
    return Admission.objects.create(**about, reason=known_reason, detail=problem.detail[:300])


def take_out(
    admissions: list[Admission], *, because: str, decided_by: User, but: list[dict] | None = None
) -> Prompt | None:
    """Take the prompts of these admissions of one lease out of the pool. One that says what `but` says stays, or comes
    back where it was taken back before: that one."""
    kept = None
    for prompt in dict.fromkeys(admission.prompt for admission in admissions if admission.prompt):
        if text_key(but or []) == prompt.text_sha256 and bring_back_prompt(
            prompt=prompt, reason=because, decided_by=decided_by
        ):
            kept = prompt
        else:
            take_back_prompt(prompt=prompt, reason=because, decided_by=decided_by)
    return kept


def corrected(written: WrittenPrompt) -> str:
    """Why what stood in the pool before this correction does so no more."""
    return f"Corrected by its writer: {written.correction_reason}"


def _refused_outright(written: WrittenPrompt, *, newest: WrittenPrompt, said: Said | None) -> str:
    """Why `written` is not even shown to the gate; "" where it is."""
    if written.pk != newest.pk:
        return Admission.Reason.CORRECTED
    if said is not None and said.content is None:
        return Admission.Reason.SENT_BACK
    # What keeps one of the hands that are in it out of training keeps it out.
    groups = {written.group, said.group} if said else {written.group}
    if User.Group.HELD_OUT in groups:
        return Admission.Reason.HELD_OUT
    if User.Group.SIMULATED in groups:
        return Admission.Reason.SIMULATED
    return ""
