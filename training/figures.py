"""Numbers for reports: pure functions, arrays in, plain values out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def accuracy_interval(
    right: list[float], pairs: list[int], clusters: list[str], *, resamples: int = 2000, seed: int = 0
) -> tuple[float, tuple[float, float] | None]:
    """Accuracy over pairs, and its 95 % interval by a bootstrap over clusters.

    One entry a ranking: how many of its `pairs` were `right` (½ for an equal score), and the `clusters` name, its
    prompt. Pairs of one prompt share completions, so whole prompts are drawn. The interval is None with fewer than
    two clusters. Raises ValueError without any pair.
    """
    if not sum(pairs):
        raise ValueError("no pair to measure accuracy on")
    names = {name: index for index, name in enumerate(dict.fromkeys(clusters))}
    hits, counts = np.zeros(len(names)), np.zeros(len(names))
    for good, count, name in zip(right, pairs, clusters, strict=True):
        hits[names[name]] += good
        counts[names[name]] += count
    accuracy = float(hits.sum() / counts.sum())
    if len(names) < 2:
        return accuracy, None
    random = np.random.default_rng(seed)
    rates = []
    for _ in range(resamples):
        drawn = random.integers(len(names), size=len(names))
        rates.append(hits[drawn].sum() / counts[drawn].sum())
    low, high = np.percentile(rates, [2.5, 97.5])
    return accuracy, (float(low), float(high))


def correlation(first: list[float], second: list[float]) -> float | None:
    """Pearson's r; None where a side does not vary."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def calibration(margins: list[float], bins: int = 5) -> list[dict]:
    """How often the ranked-better one won, by how sure the model was: a row per bin of σ(|margin|), .5 to 1.

    `margins` are reward of the better minus reward of the worse completion. Empty bins are left out.
    """
    values = np.asarray(margins, float)
    confidence = 1 / (1 + np.exp(-np.abs(values)))
    edges = np.linspace(0.5, 1.0, bins + 1)
    which = np.clip(np.digitize(confidence, edges) - 1, 0, bins - 1)
    rows = []
    for index in range(bins):
        inside = which == index
        if inside.any():
            right = np.where(values[inside] > 0, 1.0, np.where(values[inside] == 0, 0.5, 0.0))
            rows.append(
                {
                    "from": float(edges[index]),
                    "to": float(edges[index + 1]),
                    "pairs": int(inside.sum()),
                    "confidence": float(confidence[inside].mean()),
                    "accuracy": float(right.mean()),
                }
            )
    return rows


def mean_and_error(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error (0 for a single value)."""
    array = np.asarray(values, float)
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0
    return float(array.mean()), error


def best_of_kl(n: int) -> float:
    """Nats that best-of-n is from the policy it samples, at most: log n − (n − 1)/n (Gao et al. 2022, section 2)."""
    return math.log(n) - (n - 1) / n


def best_of_mean(scores: Sequence[float], n: int) -> float:
    """Expected highest score of `n` answers, from N ≥ n of them, without bias: the mean over all subsets of n.

    Of the scores in ascending order the i-th is the highest of C(i − 1, n − 1) of the C(N, n) subsets. Raises
    ValueError for n above N: nothing beyond the data is known.
    """
    total = len(scores)
    if not 1 <= n <= total:
        raise ValueError(f"best of {n} cannot be estimated from {total} answers")
    subsets = math.comb(total, n)
    return sum(score * (math.comb(place, n - 1) / subsets) for place, score in enumerate(sorted(scores)))
