"""Take demonstrations: the ideal answer to a prompt, stored once and to the byte."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from labeling.api import json_type
from labeling.demos.models import Demonstration
from labeling.demos.suggesting import keep_uses, read_used
from labeling.leasing.answers import INT, BadAnswer, Head, check_key, digest_of, read_head, whole_number
from labeling.leasing.services import lock_lease, settle_lease
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.models import Batch

TEXT_CHARACTERS = 100_000


@dataclass(frozen=True)
class Answer:
    """A demonstration as it was sent and found good."""

    head: Head
    text: str
    pasted: int
    suggestions: tuple[int, ...] = ()  # numbers of those it was made of

    def digest(self) -> str:
        used = {"suggestions": self.suggestions} if self.suggestions else {}
        return digest_of({"text": self.text, "replaces": self.head.replaces, **used})


@transaction.atomic(durable=True)
def submit_demonstration(
    *, lease_id: uuid.UUID | str, labeler: User, answer: Any, idempotency_key: str
) -> tuple[Demonstration, bool]:
    """The stored demonstration, and whether it is new: the same key with the same text gets the first one again.

    `answer` is the submit body. Raises what `rankings.services.submit_ranking` raises.
    """
    key = check_key(idempotency_key)
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.task.kind != Batch.Kind.DEMONSTRATION:
        raise Refusal("This task asks for a ranking, not for a written answer; send `completions`.")
    read = read_answer(answer)
    place = settle_lease(
        lease=lease, answers=Demonstration.objects.all(), idempotency_key=key, digest=read.digest(), head=read.head
    )
    if place.earlier is not None:
        return place.earlier, False
    demonstration = Demonstration.objects.create(**place.fields, text=read.text, pasted=read.pasted)
    keep_uses(demonstration=demonstration, numbers=read.suggestions)
    return demonstration, True


def read_answer(answer: Any) -> Answer:
    """`answer` as a demonstration. Raises BadAnswer where its text is blank or longer than 100,000 characters.

    `pasted` is the browser's count of characters that were pasted, some of which may be gone again: at most the text's.
    """
    head = read_head(answer, fields=("text", "pasted", "suggestions"))
    text = answer.get("text")
    if not isinstance(text, str):
        raise BadAnswer(f"`text` must be the answer you wrote, not {json_type(text)}.")
    if not text.strip():
        raise BadAnswer("The answer is empty; write one, or skip the task with a reason.")
    if len(text) > TEXT_CHARACTERS:
        raise BadAnswer(f"The answer has {len(text)} characters; at most {TEXT_CHARACTERS} are kept. Shorten it.")
    pasted = whole_number(answer.get("pasted", 0), where="`pasted`", low=0, high=INT)
    return Answer(head=head, text=text, pasted=min(pasted, len(text)), suggestions=read_used(answer))
