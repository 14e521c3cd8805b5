"""What researchers agree on, and how an answer compares with it: pairs of completions, tied ones left out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

Pair = tuple[str, str]  # (better, worse)


def ordered_pairs(ranks: Mapping[str, int | None]) -> set[Pair]:
    """The pairs that an answer puts in an order: neither tied nor left without a rank."""
    pairs = set()
    for one, two in combinations(sorted(ranks), 2):
        first, second = ranks[one], ranks[two]
        if first is not None and second is not None and first != second:
            pairs.add((one, two) if first < second else (two, one))
    return pairs


def agreed_by_all(answers: Iterable[Mapping[str, int | None]]) -> set[Pair]:
    """The pairs that every answer puts in the same order; one that somebody ties or turns round is left out."""
    answers = [ordered_pairs(ranks) for ranks in answers]
    return set.intersection(*answers) if answers else set()


def compare(ranks: Mapping[str, int | None], pairs: set[Pair]) -> tuple[int, int]:
    """How many of `pairs` an answer has in that order, of those that it puts in any."""
    own = ordered_pairs(ranks)
    agreed = len(own & pairs)
    return agreed, agreed + len({(worse, better) for better, worse in pairs} & own)
