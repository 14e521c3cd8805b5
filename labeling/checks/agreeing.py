"""What researchers agree on, and how an answer compares with it: order, ratings and flags of completions. Pure.

Completions go by the hash of their text, since a copy of a task has others of the same text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

Pair = tuple[str, str]  # (better, worse)


@dataclass(frozen=True)
class Said:
    """One answer, by completion. What was not asked, or not said, is not there."""

    ranks: dict[str, int | None] = field(default_factory=dict)
    ratings: dict[str, int] = field(default_factory=dict)  # 1 to 7
    flags: dict[str, dict[str, bool]] = field(default_factory=dict)  # of each flag asked whether it was set


@dataclass(frozen=True)
class Gold:
    """What answers agree on: pairs of completions, and of a completion all its ratings, and whether a flag is set."""

    pairs: set[Pair]
    ratings: dict[str, list[int]]
    flags: dict[str, dict[str, bool]]


@dataclass(frozen=True)
class Score:
    """How an answer compares with a Gold: of pairs, ratings and flags how many agree, of those that both have."""

    agreed: int
    compared: int
    ratings_agreed: int
    ratings_compared: int
    shift: float  # the sum over `ratings_compared` of the rating less the mean of the gold ones, in points
    flags_agreed: int
    flags_compared: int


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


def gold_of(answers: Sequence[Said], *, tolerance: int) -> Gold:
    """What all of `answers` agree on: pairs as in `agreed_by_all`; ratings of completions that all rated, none more
    than `tolerance` points from another; flags that all were asked for and set alike."""
    ratings, flags = {}, {}
    for text in set.intersection(*(set(said.ratings) for said in answers)):
        given = sorted(said.ratings[text] for said in answers)
        if given[-1] - given[0] <= tolerance:
            ratings[text] = given
    for text in set.intersection(*(set(said.flags) for said in answers)):
        first, *others = (said.flags[text] for said in answers)
        alike = {name: is_set for name, is_set in first.items() if all(is_set is said.get(name) for said in others)}
        if alike:
            flags[text] = alike
    return Gold(agreed_by_all(said.ranks for said in answers), ratings, flags)


def compare(ranks: Mapping[str, int | None], pairs: set[Pair]) -> tuple[int, int]:
    """How many of `pairs` an answer has in that order, of those that it puts in any."""
    own = ordered_pairs(ranks)
    agreed = len(own & pairs)
    return agreed, agreed + len({(worse, better) for better, worse in pairs} & own)


def score(said: Said, gold: Gold, *, tolerance: int) -> Score:
    """A rating agrees that is at most `tolerance` points from one of the gold ones; a flag, where it is set or not as
    there."""
    agreed, compared = compare(said.ranks, gold.pairs)
    rated = [(said.ratings[text], given) for text, given in gold.ratings.items() if text in said.ratings]
    flagged = [
        said.flags[text][name] is is_set
        for text, asked in gold.flags.items()
        for name, is_set in asked.items()
        if name in said.flags.get(text, {})
    ]
    return Score(
        agreed=agreed,
        compared=compared,
        ratings_agreed=sum(min(given) - tolerance <= rating <= max(given) + tolerance for rating, given in rated),
        ratings_compared=len(rated),
        shift=float(sum(rating - sum(given) / len(given) for rating, given in rated)),
        flags_agreed=sum(flagged),
        flags_compared=len(flagged),
    )
