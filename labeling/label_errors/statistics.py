"""What speaks against an answer, and how often looking finds an error. Pure: arrays in, numbers out.

Sorting labels by what a model and other annotators think of them, and reading those first that they find least likely,
is the use of confident learning (Northcutt, Jiang and Chuang 2021, section 3.2). Here an answer is an order, so what is
more or less likely is each of its pairs, by Bradley and Terry's rule (1952), which the reward model is trained by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.intervals import DRAWS, SEED, clustered_interval


@dataclass(frozen=True)
class Evidence:
    """Of n tasks with L answers over K completions each; P = K(K-1)/2 pairs of completions.

    Counts are of pairs that the answer puts in an order; a tie says nothing, neither its own nor a colleague's.
    """

    first: np.ndarray  # (P,) one completion of each pair
    second: np.ndarray  # (P,) the other
    signs: np.ndarray  # (n, L, P) -1: the first is ranked better, 1: the second, 0: neither
    pairs: np.ndarray  # (n, L)
    modelled: np.ndarray  # (n, L) pairs whose completions both have a score
    opposite: np.ndarray  # (n, L) sum over those of the probability of the opposite order
    compared: np.ndarray  # (n, L) colleagues' orders of these pairs
    contradicted: np.ndarray  # (n, L) those that are the opposite
    doubt: np.ndarray  # (n, L, P) of each pair alone, 0 to 1; -1 for pairs without an order


def evidence(ranks: np.ndarray, scores: np.ndarray) -> Evidence:
    """`ranks` (n, L, K), 1 is best and 0 where none was given; `scores` (n, K) of the model, NaN where none is known.

    Bradley and Terry: of a pair, the model gives the order "first is better" the probability σ(r_first − r_second).
    A bias that shifts all scores of a model alike is gone in the difference, so nothing is standardised.
    """
    first, second = np.triu_indices(ranks.shape[2], k=1)
    known = ranks > 0
    both = known[:, :, first] & known[:, :, second]
    signs = np.sign(ranks[:, :, first].astype(np.int16) - ranks[:, :, second]) * both  # (n, L, P)
    strict = signs != 0
    gap = scores[:, first] - scores[:, second]  # (n, P)
    modelled = strict & np.isfinite(gap)[:, None, :]
    # Ranked first better (-1): the opposite has σ(-gap). Ranked second better (1): σ(gap).
    chance = np.where(modelled, sigmoid(signs * np.nan_to_num(gap)[:, None, :]), 0.0)
    # What the others of the task say of each pair, which way, and how many of them.
    way = signs.sum(1, keepdims=True) - signs
    said = strict.sum(1, keepdims=True) - strict
    compared = np.where(strict, said, 0)
    contradicted = (compared - signs * way) // 2
    return Evidence(
        first=first,
        second=second,
        signs=signs,
        pairs=strict.sum(2),
        modelled=modelled.sum(2),
        opposite=chance.sum(2),
        compared=compared.sum(2),
        contradicted=contradicted.sum(2),
        doubt=np.where(strict, (contradicted + chance + 1) / (compared + modelled + 2), -1.0),
    )


def suspicion(found: Evidence) -> np.ndarray:
    """(n, L) natural log odds against each answer: those of the model and of the colleagues, added.

    Each part is a share of pairs with one pair more on either side (Laplace 1814), so that it is 0 where nothing is
    known and grows with what is known; adding takes the two for independent (naive Bayes). One part alone does as well.
    """
    return log_odds(found.opposite, found.modelled) + log_odds(found.contradicted, found.compared)


def log_odds(against: np.ndarray, of: np.ndarray) -> np.ndarray:
    """ln((against + 1) / (of − against + 1))."""
    return np.log(against + 1.0) - np.log(of - against + 1.0)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without an overflow."""
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


# What was found


def share_interval(found: np.ndarray, looked: np.ndarray) -> tuple[float, float] | None:
    """The 95 % interval of a share, by prompt (N,): `clustered_interval`, or, where all were found or none was, the
    exact one of Clopper and Pearson (1934) with each prompt counted once. None for fewer than two prompts."""
    prompts = int((looked > 0).sum())
    if prompts < 2:
        return None
    edge = 0.025 ** (1 / prompts)
    if found.sum() == 0:
        return 0.0, 1 - edge
    if (found == looked).all():
        return edge, 1.0
    return clustered_interval(found, looked)


@dataclass(frozen=True)
class Compared:
    """How much more one arm finds than the other; None where that cannot be said."""

    difference: float | None
    difference_ci95: tuple[float, float] | None
    ratio: float | None
    # The upper end is None where it has none, as the other arm may find nothing.
    ratio_ci95: tuple[float, float | None] | None


def compare(counts: np.ndarray) -> Compared:
    """`counts` (N, 4) by prompt: found and looked at in the first arm, then in the second.

    Whole prompts are drawn again, with both their arms: an answer in both arms is in both each time.
    """
    total = counts.sum(0)
    if not total[1] or not total[3]:
        return Compared(None, None, None, None)
    one, two = total[0] / total[1], total[2] / total[3]
    ratio = float(one / two) if two else None
    if len(counts) < 2:
        return Compared(float(one - two), None, ratio, None)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    drawn = np.random.default_rng(SEED).multinomial(len(counts), times / len(counts), size=DRAWS) @ kinds  # (draws, 4)
    drawn = drawn[(drawn[:, 1] > 0) & (drawn[:, 3] > 0)]
    if not len(drawn):
        return Compared(float(one - two), None, ratio, None)
    first, second = drawn[:, 0] / drawn[:, 1], drawn[:, 2] / drawn[:, 3]
    low, high = np.quantile(first - second, [0.025, 0.975])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(first + second > 0, first / second, 1.0)
    below, above = np.quantile(ratios, [0.025, 0.975], method="nearest")
    bounds = (float(below), float(above) if np.isfinite(above) else None) if ratio is not None else None
    return Compared(float(one - two), (float(low), float(high)), ratio, bounds)
