"""How often labelers order two completions alike. Pure: ranks in, figures out.

The unit is one pair of completions seen by one pair of labelers. Two labelers agree on it when both put the same
completion first. InstructGPT reports 72.6 ± 1.5 % for its training labelers and 77.3 ± 1.3 % for held-out ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from labeling.intervals import clustered_interval


@dataclass(frozen=True)
class Counts:
    """Pairs of labelers over pairs of completions, in one task or many."""

    agree: int = 0
    pairs: int = 0  # where neither labeler has a tie
    half_agree: float = 0.0
    half_pairs: int = 0  # all

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.agree + other.agree,
            self.pairs + other.pairs,
            self.half_agree + other.half_agree,
            self.half_pairs + other.half_pairs,
        )


@dataclass(frozen=True)
class Agreement:
    """A share with its 95 % interval; `rate` and `ci95` are None where there is too little to say."""

    agree: float
    pairs: int
    rate: float | None
    ci95: tuple[float, float] | None

    def as_json(self) -> dict:
        return {"agree": self.agree, "pairs": self.pairs, "rate": self.rate, "ci95": list(self.ci95 or (None, None))}


def count_task(ranks: np.ndarray) -> Counts:
    """Counts of one task. `ranks` is (L, K): the rank that each labeler gave, 1 is best, NaN where they gave none.

    Each pair of completions is counted by how many labelers prefer one, the other, or neither, so the work grows with
    L · K² and not with L² · K². With ties at half, two ties agree and one tie against an order counts a half.
    """
    ranks = np.asarray(ranks, float)
    first, second = np.triu_indices(ranks.shape[1], k=1)
    difference = ranks[:, first] - ranks[:, second]  # (L, K(K-1)/2), NaN where one of the two has no rank
    left, right, tied = (difference < 0).sum(0), (difference > 0).sum(0), (difference == 0).sum(0)
    ordered = left + right
    same = _choose_two(left) + _choose_two(right)
    return Counts(
        agree=int(same.sum()),
        pairs=int(_choose_two(ordered).sum()),
        half_agree=float((same + _choose_two(tied) + 0.5 * tied * ordered).sum()),
        half_pairs=int(_choose_two(ordered + tied).sum()),
    )


def _choose_two(n: np.ndarray) -> np.ndarray:
    return n * (n - 1) // 2


@dataclass
class Tally:
    """Sums over prompts, one entry per prompt: what an interval clustered by prompt needs, and no more."""

    by_prompt: list[Counts] = field(default_factory=list)
    tasks: int = 0

    def add_prompt(self, tasks: Iterable[np.ndarray]) -> None:
        total = Counts()
        for ranks in tasks:
            total += count_task(ranks)
            self.tasks += 1
        self.by_prompt.append(total)

    def pairwise(self) -> Agreement:
        """Ties by either labeler left out."""
        return _agreement([c.agree for c in self.by_prompt], [c.pairs for c in self.by_prompt], whole=True)

    def ties_half(self) -> Agreement:
        """All pairs: two ties agree, one tie against an order is a half."""
        return _agreement([c.half_agree for c in self.by_prompt], [c.half_pairs for c in self.by_prompt], whole=False)


def _agreement(agree: list, pairs: list, *, whole: bool) -> Agreement:
    total, counted = sum(agree), sum(pairs)
    return Agreement(
        agree=int(total) if whole else float(total),
        pairs=int(counted),
        rate=total / counted if counted else None,
        ci95=clustered_interval(np.array(agree, float), np.array(pairs, float)),
    )
