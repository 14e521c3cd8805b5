"""Words replaced by placeholders that say of which kind they were: `[NAME_1]`, `[EMAIL_2]`. Pure functions.

The same words get the same placeholder everywhere in a prompt, whether or not the detector saw each place; so a text
still says who is meant again, and no longer who it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

# Kinds whose name makes a poor placeholder; the others are their own.
LABELS = {
    "person_name": "NAME",
    "username": "USER",
    "url_login": "URL",
    "us_ssn": "ID",
    "uk_nino": "ID",
    "id_number": "ID",
    "tax_id": "ID",
    "medical_id": "ID",
    "credit_card": "CARD",
    "bank_account": "ACCOUNT",
    "iban": "ACCOUNT",
    "ip_address": "IP",
    "mac_address": "MAC",
    "secret": "KEY",
    "crypto_wallet": "WALLET",
}
# Words shorter than this are replaced where they were found alone: elsewhere they may be part of anything.
SHORTEST_AGAIN = 3


@dataclass(frozen=True)
class Replaced:
    """Characters `start` to `end` of the content of message `message`, as it was, and what stands there now."""

    message: int
    start: int
    end: int
    kind: str
    placeholder: str

    def as_json(self) -> dict:
        return asdict(self)


def label_of(kind: str) -> str:
    """The word in the placeholder for a kind."""
    return LABELS.get(kind) or re.sub(r"\W", "_", kind).upper() or "PERSONAL"


def redact(
    messages: Sequence[Mapping[str, str]],
    spans: Iterable[tuple[int, int, int, str]],
    *,
    known: Mapping[str, tuple[str, str]] | None = None,
) -> tuple[list[dict[str, str]], list[Replaced]]:
    """The messages with `spans` (message, start, end, kind) replaced, and what was replaced, in the order of the text.

    `known` gives placeholders that words have already, {normal form: (kind, placeholder)}: `words_of` an earlier
    redaction that goes on here. Spans beyond a text are cut; of spans that overlap, all characters are replaced.
    """
    texts = [message["content"] for message in messages]
    named = _Names(texts, known or {})
    merged = _merged(texts, spans)
    for message, start, end, kind in merged:
        named.name(texts[message][start:end], kind)
    places = merged + _again(texts, merged, named)
    replaced = [
        Replaced(message, start, end, *named.name(texts[message][start:end], kind))
        for message, start, end, kind in sorted(places)
    ]
    return apply(messages, replaced), replaced


def apply(messages: Sequence[Mapping[str, str]], replaced: Iterable[Replaced]) -> list[dict[str, str]]:
    """The messages with the placeholders put in."""
    replaced = list(replaced)
    made = []
    for index, message in enumerate(messages):
        pieces, place = [], 0
        for each in replaced:
            if each.message == index:
                pieces += [message["content"][place : each.start], each.placeholder]
                place = each.end
        made.append({**message, "content": "".join([*pieces, message["content"][place:]])})
    return made


def normal(words: str) -> str:
    """One form for words that differ only in case and spacing."""
    return " ".join(words.split()).casefold()


def words_of(messages: Sequence[Mapping[str, str]], replaced: Iterable[Replaced]) -> dict[str, tuple[str, str]]:
    """{normal form: (kind, placeholder)} of what an earlier redaction replaced in these original messages."""
    return {
        normal(messages[each.message]["content"][each.start : each.end]): (each.kind, each.placeholder)
        for each in replaced
    }


def places_of(texts: Sequence[str], words: Iterable[str]) -> list[tuple[int, int, int, str]]:
    """(text, start, end, normal form) of each place where one of the `words` stands as words of its own, longest
    first, none overlapping."""
    forms = sorted({normal(each) for each in words if len(normal(each)) >= SHORTEST_AGAIN}, key=len, reverse=True)
    if not forms:
        return []
    alternatives = "|".join(r"\s+".join(map(re.escape, form.split())) for form in forms)
    pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE)
    return [
        (index, match.start(), match.end(), normal(match[0]))
        for index, text in enumerate(texts)
        for match in pattern.finditer(text)
    ]


class _Names:
    """Placeholders given so far, by kind and words."""

    def __init__(self, texts: Sequence[str], known: Mapping[str, tuple[str, str]]) -> None:
        self.texts = texts
        self.given = dict(known)
        self.used = {placeholder for _kind, placeholder in known.values()}

    def name(self, words: str, kind: str) -> tuple[str, str]:
        form = normal(words)
        if form not in self.given:
            number = 1
            # A text may say "[NAME_1]" by itself.
            while (new := f"[{label_of(kind)}_{number}]") in self.used or any(new in text for text in self.texts):
                number += 1
            self.used.add(new)
            self.given[form] = kind, new
        return self.given[form]


def _merged(texts: Sequence[str], spans: Iterable[tuple[int, int, int, str]]) -> list[tuple[int, int, int, str]]:
    """The spans in order, cut to their texts, those that overlap as one of the kind of the first."""
    merged: list[tuple[int, int, int, str]] = []
    for message, start, end, kind in sorted(spans):
        if not 0 <= message < len(texts):
            continue
        end = min(end, len(texts[message]))
        if end <= start:
            continue
        if merged and merged[-1][0] == message and start < merged[-1][2]:
            merged[-1] = (message, merged[-1][1], max(end, merged[-1][2]), merged[-1][3])
        else:
            merged.append((message, start, end, kind))
    return merged


def _again(texts: Sequence[str], spans: list[tuple[int, int, int, str]], named: _Names) -> list[tuple]:
    """Further places of the same words."""
    covered = [bytearray(len(text)) for text in texts]
    for message, start, end, _kind in spans:
        covered[message][start:end] = b"\x01" * (end - start)
    return [
        (message, start, end, named.given[form][0])
        for message, start, end, form in places_of(texts, named.given)
        if form in named.given and not any(covered[message][start:end])
    ]
