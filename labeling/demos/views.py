"""What the pages of a demonstration task need; `labeling.leasing.views` renders them."""

from __future__ import annotations

from django.http import QueryDict

from labeling.demos.queries import content_of, demonstrations_of
from labeling.demos.services import TEXT_CHARACTERS, submit_demonstration
from labeling.leasing.answers import form_head, form_text
from labeling.leasing.kinds import Kind
from labeling.leasing.models import Lease


def read_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say: text. Without the script nobody counts what is pasted."""
    return {**form_head(fields), "text": form_text(fields, "text")}


def context(lease: Lease) -> dict:
    return {"text_characters": TEXT_CHARACTERS}


KIND = Kind(
    submit=submit_demonstration,
    answers=demonstrations_of,
    content=content_of,
    read_form=read_form,
    context=context,
    task_template="demos/task.html",
    answer_template="demos/answer.html",
)
