"""Take demonstrations: the ideal answer to a prompt, or a dialogue that goes on from it, once and to the byte."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.demos.models import MOST_TURNS, Demonstration
from labeling.demos.uses import keep_uses, read_used
from labeling.leasing.answers import INT, BadAnswer, Head, check_key, digest_of, read_head, whole_number
from labeling.leasing.models import Lease
from labeling.leasing.reviewing import open_review
from labeling.leasing.services import lock_lease, settle_lease
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.models import Batch

# Of all that is written in one task.
TEXT_CHARACTERS = 100_000
WRITTEN = (Batch.Kind.DEMONSTRATION, Batch.Kind.DIALOGUE)


@dataclass(frozen=True)
class Answer:
    """A demonstration as it was sent and found good. `turns` are a dialogue's before the last answer, `text`."""

    head: Head
    turns: list[dict]
    text: str
    pasted: int
    suggestions: tuple[int, ...] = ()  # numbers of those it was made of

    def digest(self) -> str:
        said = {"text": self.text, "replaces": self.head.replaces}
        more = {"turns": self.turns, "suggestions": self.suggestions}
        return digest_of(said | {name: value for name, value in more.items() if value})


@transaction.atomic(durable=True)
def submit_demonstration(
    *, lease_id: uuid.UUID | str, labeler: User, answer: Any, idempotency_key: str
) -> tuple[Demonstration, bool]:
    """The stored demonstration, and whether it is new: the same key with the same text gets the first one again.

    `answer` is the submit body. Raises what `rankings.services.submit_ranking` raises.
    """
    key = check_key(idempotency_key)
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.task.kind not in WRITTEN:
        raise Refusal(_("This task asks for a ranking, not for a written answer; send `completions`."))
    read = read_answer(answer, lease=lease)
    place = settle_lease(
        lease=lease, answers=Demonstration.objects.all(), idempotency_key=key, digest=read.digest(), head=read.head
    )
    if place.earlier is not None:
        return place.earlier, False
    demonstration = Demonstration.objects.create(**place.fields, turns=read.turns, text=read.text, pasted=read.pasted)
    keep_uses(demonstration=demonstration, numbers=read.suggestions)
    open_review(demonstration)
    return demonstration, True


def read_answer(answer: Any, *, lease: Lease) -> Answer:
    """`answer` as a demonstration. Raises BadAnswer where a text is blank, or all are longer than 100,000 characters.

    `pasted` is the browser's count of characters that were pasted, some of which may be gone again: at most as many as
    there are.
    """
    is_dialogue = lease.task.kind == Batch.Kind.DIALOGUE
    head = read_head(answer, fields=("text", "pasted", "suggestions", *(["turns"] if is_dialogue else [])))
    turns = read_turns(answer.get("turns"), first=first_speaker(lease.task.item.prompt.messages)) if is_dialogue else []
    text = answer.get("text")
    if not isinstance(text, str):
        raise BadAnswer(_("`text` must be the answer you wrote, not {text}.").format(text=json_type(text)))
    if not text.strip():
        raise BadAnswer(_("The answer is empty; write one, or skip the task with a reason."))
    characters = len(text) + sum(len(turn["content"]) for turn in turns)
    if characters > TEXT_CHARACTERS:
        dialogue = _("The dialogue has {count} characters; at most {most} are kept. Shorten it.")
        alone = _("The answer has {count} characters; at most {most} are kept. Shorten it.")
        raise BadAnswer((dialogue if is_dialogue else alone).format(count=characters, most=TEXT_CHARACTERS))
    pasted = whole_number(answer.get("pasted", 0), where="`pasted`", low=0, high=INT)
    used = read_used(answer)
    return Answer(head=head, turns=turns, text=text, pasted=min(pasted, characters), suggestions=used)


def first_speaker(messages: Sequence[dict]) -> str:
    """Who speaks after the prompt."""
    return "assistant" if messages[-1]["role"] == "user" else "user"


def speaker(number: int, *, first: str) -> str:
    """Who has turn `number`, from 1, of a dialogue that `first` goes on with."""
    other = "user" if first == "assistant" else "assistant"
    return first if number % 2 else other


def read_turns(turns: Any, *, first: str) -> list[dict]:
    """The turns of a dialogue before its last answer: the two alternate, the user is last. Raises BadAnswer."""
    if not isinstance(turns, list):
        raise BadAnswer(
            _("`turns` must be the list of turns before the last answer, not {turns}.").format(turns=json_type(turns))
        )
    if not turns:
        raise BadAnswer(_("A dialogue has a turn of the user at least, which you write too, and an answer to it."))
    if len(turns) >= MOST_TURNS:
        raise BadAnswer(
            _("The dialogue has {count} turns; at most {most_turns} are kept. Leave some out.").format(
                count=len(turns) + 1, most_turns=MOST_TURNS
            )
        )
    read = []
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise BadAnswer(
                _("Turn {number} must be an object with `role` and `content`, and nothing else.").format(number=number)
            )
        role, content = turn["role"], turn["content"]
        if role != (wanted := speaker(number, first=first)):
            raise BadAnswer(
                _("Turn {number} is {role!r}; the two speak in turn, so it must be {wanted!r}.").format(
                    number=number, role=str(role)[:20], wanted=wanted
                )
            )
        if not isinstance(content, str):
            raise BadAnswer(
                _("The `content` of turn {number} must be a text, not {content}.").format(
                    number=number, content=json_type(content)
                )
            )
        if not content.strip():
            raise BadAnswer(
                _("Turn {number} is empty; write it, or leave it out together with the reply to it.").format(
                    number=number
                )
            )
        read.append({"role": role, "content": content})
    if read[-1]["role"] != "user":
        raise BadAnswer(
            _("The turn before the last answer must be the user's; write one, or end with the turn before.")
        )
    return read
