"""What the pages of a written task need, which `labeling.leasing.views` renders; and what was written, for the team."""

from __future__ import annotations

from dataclasses import replace

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from labeling.demos.models import MOST_TURNS
from labeling.demos.queries import content_of, demonstrations_of, get_written, page_of_uses, written_page
from labeling.demos.services import TEXT_CHARACTERS, first_speaker, speaker, submit_demonstration
from labeling.leasing.answers import form_head, form_number, form_text, form_texts
from labeling.leasing.kinds import Kind
from labeling.leasing.models import Lease
from labeling.people.access import STAFF, only
from labeling.people.queries import get_person
from labeling.refusals import Refusal
from labeling.sampling.models import Batch


def read_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say: text, or a dialogue's turns. Without the script nobody counts what is
    pasted."""
    if lease.task.kind == Batch.Kind.DEMONSTRATION:
        return {**form_head(fields), "text": form_text(fields, "text")}
    written = form_texts(fields, "turn")
    while written and not written[-1].strip():
        written.pop()
    first = first_speaker(lease.task.item.prompt.messages)
    turns = [{"role": speaker(n, first=first), "content": text} for n, text in enumerate(written[:-1], start=1)]
    return {**form_head(fields), "turns": turns, "text": written[-1] if written else ""}


def context(lease: Lease) -> dict:
    more = {"text_characters": TEXT_CHARACTERS}
    if lease.task.kind == Batch.Kind.DIALOGUE:
        more |= {"most_turns": MOST_TURNS, "first_speaker": first_speaker(lease.task.item.prompt.messages)}
    return more


KIND = Kind(
    submit=submit_demonstration,
    answers=demonstrations_of,
    content=content_of,
    read_form=read_form,
    context=context,
    task_template="demos/task.html",
    answer_template="demos/answer.html",
)
DIALOGUE = replace(KIND, task_template="demos/dialogue.html")


# Staff


@require_safe
@only(*STAFF)
def written(request: HttpRequest) -> HttpResponse:
    number = form_number(request.GET, "labeler")
    if isinstance(number, str):
        raise Refusal(_("`labeler` must be a person's number; take it out of the address for all."))
    labeler = None if number is None else get_person(number)
    page = written_page(labeler=labeler, after=request.GET.get("after"))
    return render(request, "demos/written.html", {"page": page, "labeler": labeler})


@require_safe
@only(*STAFF)
def written_one(request: HttpRequest, demonstration_id) -> HttpResponse:
    return render(request, "demos/written_one.html", {"written": get_written(demonstration_id)})


@require_safe
@only(*STAFF)
def batch_suggestions(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    page = page_of_uses(batch, after=request.GET.get("after"))
    return render(request, "demos/suggestions.html", {"batch": batch, "page": page})
