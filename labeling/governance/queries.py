"""Prompts with what was found in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext

from labeling.governance import redaction
from labeling.governance.deciding import text_of
from labeling.governance.models import UNNAMED, Decision, Finding, Policy, PolicyRule
from labeling.governance.personal_data import KINDS
from labeling.governance.policies import Rules
from labeling.intake.models import Prompt, Split


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
    """The prompt's original messages cut at its findings, so that a page can mark them; joined they are the text."""
    return marked(text_of(prompt), findings)


def marked(messages: list[dict[str, str]], findings: Iterable[Finding]) -> list[MarkedMessage]:
    """`messages` cut at `findings`."""
    findings = list(findings)
    return [
        MarkedMessage(
            message["role"],
            cut_at(message["content"], [finding for finding in findings if finding.message_index == index]),
        )
        for index, message in enumerate(messages)
    ]


def redacted_view(prompt: Prompt, findings: Iterable[Finding]) -> list[dict[str, str]]:
    """What staff see of a prompt whose raw text is not for them, or not at the moment: everything that was found is
    replaced, whatever its score."""
    spans = [(finding.message_index, finding.start, finding.end, finding.kind) for finding in findings]
    return redaction.redact(text_of(prompt), spans)[0]


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


def kind_in_words(kind: str) -> str:
    """A kind of personal data in the reader's language; one that no detector knows any more as it is stored."""
    return str(KINDS.get(kind, gettext("personal data") if kind == UNNAMED else kind))


def policy_versions(*, limit: int = 20) -> QuerySet[Policy]:
    """The newest versions of the policy, newest first."""
    return Policy.objects.select_related("created_by").order_by("-number")[:limit]


def rules_table(rules: Rules) -> list[tuple[str, list[str]]]:
    """(kind in words, what is done in each split, in words): all other kinds first, then those with a rule of their
    own."""
    own = [kind for kind in ("", UNNAMED, *KINDS) if any((split, kind) in rules.by for split in Split.values)]
    named = {"": gettext("all other kinds"), UNNAMED: gettext("marked by a person"), **KINDS}
    words = PolicyRule.Action
    return [
        (str(named[kind]), [str(words(rules.action(split=split, kind=kind)).label) for split in Split.values])
        for kind in own
    ]
