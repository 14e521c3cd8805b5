"""What the pages of a review task need; `labeling.leasing.views` renders them."""

from __future__ import annotations

from django.http import QueryDict

from labeling.demos.models import WrittenPrompt
from labeling.demos.services import TEXT_CHARACTERS
from labeling.leasing.answers import form_head, form_text, form_texts
from labeling.leasing.kinds import Kind, by_id
from labeling.leasing.models import Lease
from labeling.reviews.models import Review
from labeling.reviews.queries import content_of, reviews_by, written_answer
from labeling.reviews.services import NOTE_CHARACTERS, submit_review


def read_form(fields: QueryDict, lease: Lease) -> dict:
    """The submit body that the form's fields say: verdict, note, and each `turn`, whose fields are there always."""
    body = {**form_head(fields), "verdict": fields.get("verdict"), "note": form_text(fields, "note")}
    if body["verdict"] != Review.Verdict.EDIT:
        return body
    *turns, text = form_texts(fields, "turn") or [""]
    before = written_answer(lease.task).turns
    said = [{"role": turn["role"], "content": text} for turn, text in zip(before, turns, strict=False)]
    return {**body, "turns": said, "text": text}


def context(lease: Lease) -> dict:
    return {"text_characters": TEXT_CHARACTERS, "note_characters": NOTE_CHARACTERS}


def written(lease: Lease) -> dict:
    """Without any trace of whose it is."""
    answer = written_answer(lease.task)
    more = {"form": answer.form, "use_case": answer.use_case} if isinstance(answer, WrittenPrompt) else {}
    return {"turns": answer.turns, "text": answer.text, **more}


KIND = Kind(
    submit=by_id(submit_review),
    answers=reviews_by,
    content=content_of,
    read_form=read_form,
    context=context,
    written=written,
    task_template="reviews/task.html",
    answer_template="reviews/answer.html",
    given_template="reviews/_given.html",
)
