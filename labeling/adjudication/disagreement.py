"""How far apart the answers to one task are. Pure: no ORM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import numpy as np

from labeling.agreement.pairs import AGREE, PAIRS, compare

RANKED = "ranked"


@dataclass(frozen=True)
class Opinion:
    """One answer: its outcome, and where it is a ranking the rank of each completion, 1 is best, equal is a tie."""

    outcome: str
    ranks: Mapping[str, int]


@dataclass(frozen=True)
class Apart:
    """Two answers by their places: of `compared` pairs of completions, which both put in an order, `apart` the other
    way round. `disagreement` is their share, 0 to 1; None where there is no such pair."""

    first: int
    second: int
    apart: int
    compared: int
    disagreement: float | None

    def as_json(self) -> dict:
        return asdict(self)


def disagreement_of(opinions: Sequence[Opinion]) -> tuple[float | None, list[Apart]]:
    """The mean over all pairs of answers that can be compared, None where none can; and each pair.

    Of two rankings it is the share of pairs of completions, ranked in both and tied in neither, that they order in
    opposite ways: 1 - `pairwise` of `labeling.agreement`. Two answers of different outcomes (a ranking, all bad,
    cannot be ranked) disagree entirely, two of one outcome other than a ranking not at all.
    """
    ranks = _ranks(opinions)
    pairs = list(combinations(range(len(opinions)), 2))
    if not pairs:
        return None, []
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    counts = compare(ranks[first], ranks[second])
    found = []
    for (one, two), row in zip(pairs, counts, strict=True):
        a, b = opinions[one].outcome, opinions[two].outcome
        if a == b == RANKED:
            compared = int(row[PAIRS])
            apart = compared - int(row[AGREE])
            found.append(Apart(one, two, apart, compared, apart / compared if compared else None))
        else:
            found.append(Apart(one, two, 0, 0, float(a != b)))
    known = [pair.disagreement for pair in found if pair.disagreement is not None]
    return (sum(known) / len(known) if known else None), found


def _ranks(opinions: Sequence[Opinion]) -> np.ndarray:
    """(answers, completions) int: 0 where one has no rank."""
    places: dict[str, int] = {}
    for opinion in opinions:
        for completion in opinion.ranks:
            places.setdefault(completion, len(places))
    # `compare` wants two completions to make pairs of.
    ranks = np.zeros((len(opinions), max(2, len(places))), np.int64)
    for row, opinion in enumerate(opinions):
        for completion, rank in opinion.ranks.items():
            ranks[row, places[completion]] = rank
    return ranks
