"""What the pages of a demonstration task need, which `labeling.leasing.views` renders; and what staff see of it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from labeling.demos.queries import content_of, demonstrations_of, page_of_uses
from labeling.demos.services import TEXT_CHARACTERS, submit_demonstration
from labeling.leasing.answers import form_head, form_text
from labeling.leasing.kinds import Kind
from labeling.leasing.models import Lease
from labeling.people.access import STAFF, only
from labeling.sampling.models import Batch


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


@require_GET
@only(*STAFF)
def batch_suggestions(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_object_or_404(Batch, pk=batch_id)
    page = page_of_uses(batch, after=request.GET.get("after"))
    return render(request, "demos/suggestions.html", {"batch": batch, "page": page})
