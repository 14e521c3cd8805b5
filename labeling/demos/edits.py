"""From what a model suggested to what a person made of it, word by word. Pure: two texts in, the edit out.

A text is cut into words, stretches of white space and single other signs; joined, the pieces are the text again. An
edit is a list of (operation, number of pieces): `keep` and `cut` walk along the suggestion, `keep` and `add` along what
was written. So with both texts it shows what was done, and holds none of their words itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PIECE = re.compile(r"[\w'’]+|\s+|[^\w\s]")
# Bits of the table of two texts without their common beginning and end: 4,000 words against 4,000, 8 MB and less than a
# tenth of a second. Beyond, all between beginning and end counts as written anew.
MOST_BITS = 64_000_000

Operation = tuple[str, int]  # "keep", "cut" or "add", and how many pieces


@dataclass(frozen=True)
class Edit:
    """`kept` is the share of the suggestion's characters that stand in the final text, 0 to 1; `similarity` the same of
    both texts together, so that much added text lowers it too. White space counts for neither."""

    similarity: float
    kept: float
    operations: tuple[Operation, ...]


def cut_up(text: str) -> list[str]:
    return PIECE.findall(text)


def edit_between(suggested: str, written: str) -> Edit:
    """What was done to `suggested` to make `written` of it. Two empty texts are the same."""
    before, after = cut_up(suggested), cut_up(written)
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    middle = _compared(before[head : len(before) - tail], after[head : len(after) - tail])
    operations = tuple(_joined([("keep", head), *middle, ("keep", tail)]))
    same = sum(_weight(text) for operation, text in shown(suggested, written, operations) if operation == "keep")
    whole, both = _weight(suggested), _weight(suggested) + _weight(written)
    return Edit(similarity=2 * same / both if both else 1.0, kept=same / whole if whole else 1.0, operations=operations)


def shown(suggested: str, written: str, operations: tuple[Operation, ...] | list) -> Iterator[tuple[str, str]]:
    """(operation, text) of an edit in order: what stands in both texts, what was cut, what was added."""
    before, after = iter(cut_up(suggested)), iter(cut_up(written))
    for operation, count in operations:
        walked = [iterator for iterator, by in ((before, "keep cut"), (after, "keep add")) if operation in by.split()]
        texts = ["".join(next(iterator, "") for _ in range(count)) for iterator in walked]
        yield operation, texts[-1]


def _weight(text: str) -> int:
    return sum(map(len, text.split()))


def _compared(before: list[str], after: list[str]) -> list[Operation]:
    """The edit that keeps a longest common subsequence of pieces, by the bit-parallel method of Hyyrö (2004).

    Bit i of `rows[j]` is 0 where before[i] makes the longest subsequence that before[: i + 1] has in common with
    after[: j + 1] longer by one.
    """
    if len(before) * len(after) > MOST_BITS:
        return [("cut", len(before)), ("add", len(after))]
    places: dict[str, int] = {}
    for index, piece in enumerate(before):
        places[piece] = places.get(piece, 0) | 1 << index
    every = (1 << len(before)) - 1
    row, rows = every, []
    for piece in after:
        matches = row & places.get(piece, 0)
        row = ((row + matches) | (row - matches)) & every
        rows.append(row)
    backwards: list[Operation] = []
    i, j = len(before), len(after)
    while i and j:
        if rows[j - 1] >> (i - 1) & 1:
            i -= 1
            backwards.append(("cut", 1))
            continue
        j -= 1
        if j and not rows[j - 1] >> (i - 1) & 1:
            backwards.append(("add", 1))
        else:
            i -= 1
            backwards.append(("keep", 1))
    return [("cut", i), ("add", j), *reversed(backwards)]


def _joined(operations: list[Operation]) -> Iterator[Operation]:
    """The same edit with each stretch in one piece: what was cut between two that were kept, then what was added."""
    counts = dict.fromkeys(("keep", "cut", "add"), 0)

    def told() -> Iterator[Operation]:
        for operation, count in counts.items():
            if count:
                yield operation, count
            counts[operation] = 0

    for operation, count in operations:
        if operation == "keep" and count and (counts["cut"] or counts["add"]):
            yield from told()
        counts[operation] += count
    yield from told()
