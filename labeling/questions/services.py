"""Ask, answer, share: every message of a thread is kept."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.governance.deciding import PromptErased
from labeling.leasing.models import Lease
from labeling.leasing.services import lock_lease
from labeling.people.models import User
from labeling.questions.models import Message, Question
from labeling.questions.queries import get_question
from labeling.refusals import Refusal, TooMany
from labeling.text import check_text

TEXT_CHARACTERS = 4_000
MESSAGES = 100  # in one thread


@transaction.atomic(durable=True)
def ask(*, lease_id: uuid.UUID | str, labeler: User, text: Any) -> Question:
    """The labeler's thread about this task with `text` at its end. The same text twice in a row is said once.

    NotFound for another person's task.
    """
    said = _read(text, where=_("the question"))
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    question, _made = Question.objects.get_or_create(lease=lease, defaults={"labeler": lease.labeler})
    return _say(question, lease.labeler, said)


@transaction.atomic(durable=True)
def reply(*, question_id: uuid.UUID | str, author: User, text: Any) -> Question:
    """The thread with `text` at its end: answered where the team said it, open again where the labeler did.

    NotFound for who is neither of them.
    """
    said = _read(text, where=_("the answer"))
    get_question(question_id=question_id, reader=author)
    question = Question.objects.select_for_update(no_key=True).get(pk=question_id)
    if Lease.objects.filter(pk=question.lease_id, erased=True).exists():
        raise PromptErased
    return _say(question, author, said)


def _say(question: Question, author: User, text: str) -> Question:
    """Callers hold the lock of the thread, or that of its lease."""
    said = question.messages.order_by("-id")
    last = said.first()
    if last is not None and (last.author_id, last.text) == (author.pk, text):
        return question
    if said.count() >= MESSAGES:
        raise TooMany(_("This thread has {messages} messages; talk to each other instead.").format(messages=MESSAGES))
    Message.objects.create(question=question, author=author, text=text)
    by_labeler = author.pk == question.labeler_id
    question.state = Question.State.OPEN if by_labeler else Question.State.ANSWERED
    question.unseen = not by_labeler
    question.save(update_fields=["state", "unseen"])
    if not by_labeler:
        record(actor=author, action="question.answered", subject=question)
    return question


def mark_seen(*, question: Question) -> None:
    Question.objects.filter(pk=question.pk, unseen=True).update(unseen=False)


@transaction.atomic(durable=True)
def share(*, question_id: uuid.UUID | str, question_text: Any, answer_text: Any, actor: User) -> Question:
    """All labelers may read these two texts from now on, and nothing else of the thread: no name, no task."""
    question = get_question(question_id=question_id, reader=actor)
    question.shared_question = _read(question_text, where=_("the question"))
    question.shared_answer = _read(answer_text, where=_("the answer"))
    question.shared_at = Now()
    question.save(update_fields=["shared_question", "shared_answer", "shared_at"])
    record(actor=actor, action="question.shared", subject=question)
    return question


@transaction.atomic(durable=True)
def unshare(*, question_id: uuid.UUID | str, actor: User) -> None:
    question = get_question(question_id=question_id, reader=actor)
    Question.objects.filter(pk=question.pk).update(shared_question="", shared_answer="", shared_at=None)
    record(actor=actor, action="question.unshared", subject=question)


def _read(text: Any, *, where: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise Refusal(_("Write {where} in `text`; it is empty.").format(where=where))
    text = check_text(text, where=where).replace("\r\n", "\n").strip()
    if len(text) > TEXT_CHARACTERS:
        raise Refusal(
            _("It has {count} characters; at most {text_characters} are kept. Shorten {where}.").format(
                count=len(text), text_characters=TEXT_CHARACTERS, where=where
            )
        )
    return text
