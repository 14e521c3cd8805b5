"""Threads as those who are part of them may read them, and what was shared with all."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from labeling.paging import Page, keyset_page
from labeling.people.access import STAFF
from labeling.people.models import User
from labeling.questions.models import Question
from labeling.refusals import NotFound


def get_question(*, question_id: uuid.UUID | str, reader: User) -> Question:
    """The thread, for its labeler and for the team; NotFound for everyone else and where there is none."""
    try:
        question = Question.objects.select_related("labeler", "lease__task__item__prompt").get(
            pk=uuid.UUID(str(question_id))
        )
    except (ValueError, Question.DoesNotExist):
        question = None
    if question is None or (reader.role not in STAFF and question.labeler_id != reader.pk):
        raise NotFound(_("There is no such question of yours."))
    return question


def thread(question: Question, *, reader: User) -> list[dict]:
    """What was said, oldest first. A labeler sees "the team", never who of it answered; `mine` marks the reader's."""
    return [
        {
            "text": message.text,
            "created_at": message.created_at,
            "mine": message.author_id == reader.pk,
            "by_labeler": message.author_id == question.labeler_id,
            "author": message.author if reader.role in STAFF else None,
        }
        for message in question.messages.select_related("author").order_by("id")
    ]


def own_questions(labeler: User, *, limit: int) -> QuerySet[Question]:
    """The labeler's latest threads, each with its messages."""
    rows = Question.objects.filter(labeler=labeler.pk).order_by("-created_at", "-id")
    return rows.prefetch_related("messages")[:limit]


def shared_page(*, after: str | None) -> Page:
    """What was shared with all, newest first. Of a row only the shared texts may be shown."""
    rows = Question.objects.filter(shared_at__isnull=False).only("id", "shared_at", "shared_question", "shared_answer")
    return keyset_page(rows, order=("-shared_at", "-id"), after=after)


def inbox_page(*, state: str, after: str | None) -> Page:
    """Threads that wait for the team (oldest first), or were answered."""
    rows = Question.objects.filter(state=state).select_related("labeler").prefetch_related("messages")
    return keyset_page(rows, order=("created_at", "id"), after=after)
