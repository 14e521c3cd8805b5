"""What a recogniser returns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of the scanned text are personal data of one kind.

    `score` (0 to 1) says how likely it is that this is personal data of a real person; `recogniser` names the rule.
    """

    kind: str
    start: int
    end: int
    score: float
    recogniser: str


def without_overlaps(found: list[Span], length: int) -> list[Span]:
    """The spans in the order of the text, none overlapping: the surer one wins, then the longer, then the earlier."""
    kept: list[Span] = []
    covered = bytearray(length)  # 1 where a kept span lies: no span is compared with all the others
    for span in sorted(found, key=lambda span: (-span.score, span.start - span.end, span.start, span.kind)):
        if not any(covered[span.start : span.end]):
            covered[span.start : span.end] = b"\x01" * (span.end - span.start)
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
