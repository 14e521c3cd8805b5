"""What people wrote, and what was suggested to them: as its own author may read it, and as the team does."""

from __future__ import annotations

import uuid

from django.db.models import Value
from django.db.models.functions import Length, Substr
from django.utils.translation import gettext as _

from labeling.demos import edits
from labeling.demos.models import Admission, Demonstration, DemonstrationSuggestion, Suggestion, WrittenPrompt
from labeling.demos.suggesting import FAILURES, check_open
from labeling.demos.uses import message_at
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease
from labeling.leasing.services import NO_SUCH_TASK
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.refusals import NotFound
from labeling.sampling.models import Batch


def demonstrations_of(lease: Lease) -> list[Demonstration]:
    """The labeler's answers to this lease, oldest revision first."""
    return list(lease.demonstrations.order_by("revision"))


def content_of(demonstration: Demonstration) -> dict:
    """What was written, in the shape in which it was sent."""
    used = demonstration.suggestions_used.order_by("id").values_list("suggestion__number", flat=True)
    more = {"turns": demonstration.turns, "suggestions": list(used)}
    said = {"text": demonstration.text, "pasted": demonstration.pasted}
    return said | {name: value for name, value in more.items() if value}


def suggestions_shown(*, lease_id: uuid.UUID | str, labeler: User, number: int | None = None, start: int = 0) -> list:
    """The suggestions of the labeler's own open task, or the one of this `number`, as the labeler may see them: in
    order, without a trace of who wrote them. Their `text` is what stands after the first `start` characters, and
    `length` how many there are in all; both count Unicode code points.

    NotFound for another's task and for a number that none has, LeaseEnded once the task is not open.
    """
    try:
        own = Lease.objects.filter(pk=uuid.UUID(str(lease_id)), labeler=labeler.pk)
    except ValueError:
        raise NotFound(_(NO_SUCH_TASK)) from None
    state = own.values_list("state", flat=True).first()
    if state is None:
        raise NotFound(_(NO_SUCH_TASK))
    check_open(state)
    asked = Suggestion.objects.filter(lease__in=own).order_by("number")
    if number is not None:
        asked = asked.filter(number=number)
    rows = asked.annotate(length=Length("text"), rest=Substr("text", Value(start + 1)))
    found = list(rows.values("number", "turn", "state", "failure", "rest", "length"))
    if number is not None and not found:
        raise NotFound(_("This task has no suggestion of this number."))
    return [
        {
            "number": row["number"],
            "turn": row["turn"],
            "state": row["state"],
            "error": str(FAILURES[row["failure"]]) if row["failure"] else "",
            "text": row["rest"],
            "length": row["length"],
        }
        for row in found
    ]


def written_prompts_of(lease: Lease) -> list[WrittenPrompt]:
    """The prompts that the labeler wrote for this lease, oldest revision first."""
    return list(lease.written_prompts.prefetch_related("admissions__prompt").order_by("revision"))


def content_of_prompt(written: WrittenPrompt) -> dict:
    """What was written, in the shape in which it was sent."""
    return {**written.content, "use_case": written.use_case, "pasted": written.pasted}


def admission_of(written: WrittenPrompt) -> Admission | None:
    """What the gate said last; None before it did."""
    return max(written.admissions.all(), key=lambda admission: admission.pk, default=None)


# For the team


def written_page(*, labeler: User | None = None, after: str | None = None) -> Page:
    """What was written, by all or by one, newest first. Every revision is one."""
    rows = Demonstration.objects.select_related("labeler", "task__batch", "task__item__prompt", "replaced_by")
    if labeler is not None:
        rows = rows.filter(labeler=labeler)
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def get_written(demonstration_id: uuid.UUID) -> Demonstration:
    rows = Demonstration.objects.select_related(
        "labeler", "task__batch", "task__item__prompt", "replaced_by", "replaces"
    )
    found = rows.filter(pk=demonstration_id).first()
    if found is None:
        raise NotFound(_("There is no written answer with this id."))
    return found


def page_of_uses(batch: Batch, *, after: str | None = None, size: int = 20) -> Page:
    """What labelers made of suggestions in this batch, newest first, each with `pieces`, the edit as
    (operation, text)."""
    uses = DemonstrationSuggestion.objects.filter(demonstration__task__batch=batch)
    uses = uses.select_related("suggestion__endpoint", "demonstration__labeler", "demonstration__task__item__prompt")
    page = keyset_page(uses, order=("-id",), after=after, size=size)
    for use in page:
        written = message_at(use.demonstration, use.suggestion.turn) or ""
        use.pieces = list(edits.shown(use.suggestion.text, written, use.operations))
    return page


def page_of_written_prompts(batch: Batch, *, after: str | None = None, size: int = 30) -> Page:
    """What was written in the batch, newest first, each in its latest revision, with writer, admissions and reviews."""
    rows = WrittenPrompt.objects.filter(task__batch=batch, replaced_by=None)
    rows = rows.select_related("labeler", "lease", "task__item", "task__batch")
    rows = rows.prefetch_related("admissions__prompt", "reviews__labeler")
    return keyset_page(rows, order=("-created_at", "-id"), after=after, size=size)


def writing_of(prompt: Prompt) -> Admission | None:
    """The latest writing that became this prompt, with the review that let it in, if it was reviewed; None where the
    prompt came from elsewhere."""
    related = ("written__labeler", "written__task__batch", "written__task__item", "review__labeler")
    return Admission.objects.filter(prompt=prompt).select_related(*related).order_by("-id").first()
