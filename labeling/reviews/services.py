"""Take reviews: a second labeler accepts what another wrote, edits it, or sends it back. Stored once, never changed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.api import json_type
from labeling.demos.layout import content_of
from labeling.demos.models import Demonstration, WrittenPrompt
from labeling.demos.services import TEXT_CHARACTERS, read_turns
from labeling.demos.written import ask_for_admission, check_length
from labeling.leasing.answers import INT, BadAnswer, Head, check_key, digest_of, read_head, whole_number
from labeling.leasing.models import Lease
from labeling.leasing.services import lock_lease, settle_lease
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.reviews.models import Review
from labeling.reviews.queries import FIELDS, Written, written_answer
from labeling.sampling.models import Batch

NOTE_CHARACTERS = 1000


@dataclass(frozen=True)
class Answer:
    """A review as it was sent and found good; `turns` and `text` are empty where it is no edit."""

    head: Head
    verdict: str
    turns: list[dict]
    text: str
    pasted: int
    note: str

    def digest(self) -> str:
        said = {"verdict": self.verdict, "turns": self.turns, "text": self.text, "note": self.note}
        return digest_of({**said, "replaces": self.head.replaces})


@transaction.atomic(durable=True)
def submit_review(
    *, lease_id: uuid.UUID | str, labeler: User, answer: Any, idempotency_key: str
) -> tuple[Review, bool]:
    """The stored review, and whether it is new: the same key with the same review gets the first one again. What is
    sent back waits for its author from now on; a job brings a written prompt into the pool, or takes it out again.

    `answer` is the submit body. Raises what `rankings.services.submit_ranking` raises.
    """
    key = check_key(idempotency_key)
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.task.kind != Batch.Kind.REVIEW:
        raise Refusal(_("This task asks for no review; send what it asks for."))
    written = written_answer(lease.task)
    read = read_answer(answer, written=written)
    place = settle_lease(
        lease=lease, answers=Review.objects.all(), idempotency_key=key, digest=read.digest(), head=read.head
    )
    if place.earlier is not None:
        return place.earlier, False
    review = Review.objects.create(
        **place.fields,
        **{FIELDS[type(written)]: written},
        verdict=read.verdict,
        turns=read.turns,
        text=read.text,
        pasted=read.pasted,
        note=read.note,
    )
    if not review.surplus:
        _tell_author(written, sent_back=review.verdict == Review.Verdict.SEND_BACK)
        if isinstance(written, WrittenPrompt):
            ask_for_admission(written, key=f"review:{review.pk}", asked_by=labeler)
    return review, True


def _tell_author(written: Written, *, sent_back: bool) -> None:
    """Let the answer wait for its author, or no more. Not where they have corrected it meanwhile: their lease is locked
    before that is looked at, as it is while they do."""
    lease = Lease.objects.select_for_update(no_key=True).get(pk=written.lease_id)
    if lease.sent_back != sent_back and not type(written).objects.filter(replaces=written).exists():
        Lease.objects.filter(pk=lease.pk).update(sent_back=sent_back)


def read_answer(answer: Any, *, written: Written) -> Answer:
    """`answer` as a review of what is `written`. Raises BadAnswer for an edit that changes nothing or leaves nothing,
    and where something is sent back without a word.

    `pasted` is the browser's count of characters that were pasted into the edit: at most as many as it has.
    """
    head = read_head(answer, fields=("verdict", "turns", "text", "pasted", "note"))
    verdict = answer.get("verdict")
    if verdict not in Review.Verdict.values:
        raise BadAnswer(_("`verdict` must be accept, edit or send_back; choose what is to become of it."))
    note = _read_note(answer.get("note"), verdict=verdict)
    if verdict == Review.Verdict.EDIT:
        read = _read_prompt_edit if isinstance(written, WrittenPrompt) else _read_edit
        turns, text = read(answer.get("turns") or [], answer.get("text"), written)
        if _as_fields_keep_it([*turns, {"content": text}]) == _as_fields_keep_it(written.conversation):
            raise BadAnswer(_("You have changed nothing; accept it as it is, or edit it."))
        pasted = whole_number(answer.get("pasted", 0), where="`pasted`", low=0, high=INT)
        characters = len(text) + sum(len(turn["content"]) for turn in turns)
        return Answer(head, verdict, turns, text, min(pasted, characters), note)
    if answer.get("text") or answer.get("turns"):
        raise BadAnswer(_("`turns` and `text` are what you edited: send them with the verdict edit alone."))
    return Answer(head, verdict, [], "", 0, note)


def _read_edit(turns: Any, text: Any, written: Demonstration) -> tuple[list[dict], str]:
    if turns or written.turns:
        turns = read_turns(turns, first=written.turns[0]["role"] if written.turns else "assistant")
    if len(turns) != len(written.turns):
        raise BadAnswer(
            _("The answer has {count} turns before its last, and your edit has {edited}; it keeps them all.").format(
                count=len(written.turns), edited=len(turns)
            )
        )
    _check_text(text)
    characters = len(text) + sum(len(turn["content"]) for turn in turns)
    if characters > TEXT_CHARACTERS:
        words = _("The answer has {count} characters; at most {most} are kept. Shorten it.")
        raise BadAnswer(words.format(count=characters, most=TEXT_CHARACTERS))
    return turns, text


def _read_prompt_edit(turns: Any, text: Any, written: WrittenPrompt) -> tuple[list[dict], str]:
    """The parts before the last, which are those that were written, and the last."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise BadAnswer(_("`turns` must be the list of the prompt's parts before its last, objects with a role each."))
    roles = [turn["role"] for turn in written.turns]
    if [turn.get("role") for turn in turns] != roles or any(set(turn) != {"role", "content"} for turn in turns):
        raise BadAnswer(
            _("Your edit keeps the prompt's parts; before the last it has, in this order: {roles}.").format(
                roles=", ".join(roles) or _("none")
            )
        )
    for number, turn in enumerate(turns, start=1):
        if not isinstance(turn["content"], str) or not turn["content"].strip():
            raise BadAnswer(
                _("Part {number} ({role}) is no text, or empty; write it, or send the prompt back instead.").format(
                    number=number, role=turn["role"]
                )
            )
    _check_text(text)
    check_length(written.form, content_of(written.form, [*(turn["content"] for turn in turns), text]))
    return turns, text


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise BadAnswer(_("`text` must be the text as you edited it, not {text}.").format(text=json_type(text)))
    if not text.strip():
        raise BadAnswer(_("Your edit leaves nothing of the text; send it back instead, and say why."))


def _as_fields_keep_it(turns: list[dict]) -> list[str]:
    """The texts with every line end as one sign: nobody sees the difference on a page, so it is none."""
    return [turn["content"].replace("\r\n", "\n") for turn in turns]


def _read_note(note: Any, *, verdict: str) -> str:
    if note is None:
        note = ""
    if not isinstance(note, str):
        raise BadAnswer(_("`note` must be text for the author, not {note}.").format(note=json_type(note)))
    note = note.strip()
    if len(note) > NOTE_CHARACTERS:
        words = _("The note has {count} characters; at most {most} are kept. Shorten it.")
        raise BadAnswer(words.format(count=len(note), most=NOTE_CHARACTERS))
    if verdict == Review.Verdict.SEND_BACK and not note:
        raise BadAnswer(_("Say in `note` what is to be changed; the author reads it."))
    return note
