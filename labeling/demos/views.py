"""What the pages of a written task need; `labeling.leasing.views` renders them."""

from __future__ import annotations

from dataclasses import replace

from django.http import QueryDict

from labeling.demos.models import MOST_TURNS
from labeling.demos.queries import content_of, demonstrations_of
from labeling.demos.services import TEXT_CHARACTERS, first_speaker, speaker, submit_demonstration
from labeling.leasing.answers import form_head, form_text, form_texts
from labeling.leasing.kinds import Kind
from labeling.leasing.models import Lease
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
