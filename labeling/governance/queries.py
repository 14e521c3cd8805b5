"""Prompts with what was found in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from labeling.governance.models import Decision, Finding
from labeling.intake.models import Prompt


@dataclass(frozen=True)
class Piece:
    """A stretch of a message's text, and the finding it is (None for the text between)."""

    text: str
    finding: Finding | None = None


@dataclass(frozen=True)
class MarkedMessage:
    role: str
    pieces: list[Piece]


def findings_of(prompts: Iterable[Prompt]) -> dict:
    """Prompt id → its findings in the order of the text."""
    by_prompt = defaultdict(list)
    for finding in Finding.objects.filter(prompt__in=list(prompts)).order_by("message_index", "start"):
        by_prompt[finding.prompt_id].append(finding)
    return by_prompt


def marked_messages(prompt: Prompt, findings: Iterable[Finding]) -> list[MarkedMessage]:
    """The prompt's messages cut at its findings, so that a page can mark them; joined they are the text again."""
    findings = list(findings)
    return [
        MarkedMessage(
            message["role"],
            cut_at(message["content"], [finding for finding in findings if finding.message_index == index]),
        )
        for index, message in enumerate(prompt.messages)
    ]


def cut_at(text: str, findings: list[Finding]) -> list[Piece]:
    """`text` in pieces; of findings that overlap the later one begins where the earlier ends."""
    pieces, place = [], 0
    for finding in sorted(findings, key=lambda finding: (finding.start, finding.end)):
        start, end = max(finding.start, place), min(finding.end, len(text))
        if end <= start:
            continue
        if start > place:
            pieces.append(Piece(text[place:start]))
        pieces.append(Piece(text[start:end], finding))
        place = end
    if place < len(text):
        pieces.append(Piece(text[place:]))
    return pieces


def decisions_about(prompt: Prompt) -> QuerySet[Decision]:
    return Decision.objects.filter(prompt=prompt).select_related("decided_by").order_by("decided_at", "id")
