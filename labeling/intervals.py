"""Intervals for shares and means when the answers to one prompt are not independent. Pure: arrays in, numbers out."""

from __future__ import annotations

import numpy as np

DRAWS = 2000
SEED = 20221127  # the same data give the same interval


def clustered_interval(
    sums: np.ndarray, counts: np.ndarray, *, level: float = 0.95, draws: int = DRAWS, seed: int = SEED
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of `sum(sums) / sum(counts)`, drawing whole clusters with replacement.

    `sums` and `counts` are (N,), one entry per cluster, e.g. wins and comparisons of each prompt. None for fewer than
    two clusters that count: nothing then says how much another sample would differ. Memory grows with the number of
    *different* clusters: equal ones are drawn together, which is the same distribution.
    """
    used = np.asarray(counts) > 0
    pairs = np.stack([np.asarray(sums, float)[used], np.asarray(counts, float)[used]], axis=1)
    if len(pairs) < 2:
        return None
    kinds, times = np.unique(pairs, axis=0, return_counts=True)  # (U, 2), (U,)
    rng = np.random.default_rng(seed)
    rates = np.empty(draws)
    step = max(1, 10_000_000 // len(kinds))
    for start in range(0, draws, step):
        drawn = rng.multinomial(len(pairs), times / len(pairs), size=min(step, draws - start))  # (draws, U)
        totals = drawn @ kinds
        rates[start : start + len(totals)] = totals[:, 0] / totals[:, 1]
    tail = (1 - level) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return float(low), float(high)


def weighted_mean(values: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean over a whole population, from (N,) values of those drawn with unequal inclusion probabilities.

    Hájek's (1971) estimator: each weighs the inverse of its probability, over the sum of these weights. ValueError for
    none, or for a probability outside (0, 1].
    """
    values, probabilities = np.asarray(values, float), np.asarray(probabilities, float)
    if not len(values) or not ((probabilities > 0) & (probabilities <= 1)).all():
        raise ValueError("a weighted mean needs values, each with a probability above 0 and at most 1")
    return float((values / probabilities).sum() / (1 / probabilities).sum())
