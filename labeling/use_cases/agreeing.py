"""How well people agree on use cases: Fleiss' kappa over pairs of people. Pure: arrays in, a dataclass out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labeling.agreement.statistics import kappa

DRAWS = 2000
SEED = 20221127


@dataclass(frozen=True)
class UseCaseAgreement:
    """Of all pairs of people on one prompt. None where there is too little to say."""

    prompts: int
    pairs: int
    agree: float | None  # share of pairs who say the same
    chance: float | None  # what it would be if each said the same categories as often, but of any prompt
    kappa: float | None
    low: float | None
    high: float | None
    by_category: list[float | None]  # kappa of saying this category or any other


def agreement_of(counts: np.ndarray) -> UseCaseAgreement:
    """`counts` (N, C): how many people say category c of prompt n. Prompts of fewer than two people do not count.

    Each category against the others gives a kappa for two who are alike (`labeling.agreement.statistics.kappa`); the
    whole one is their mean weighted by p (1 - p), which is Fleiss (1971), equation 11. The interval draws whole prompts
    again.
    """
    counts = np.asarray(counts, float)
    counts = counts[counts.sum(1) >= 2]
    if not len(counts):
        return UseCaseAgreement(0, 0, None, None, None, None, None, [])
    people = counts.sum(1, keepdims=True)
    # (N, C, 4): pairs of people of whom both, the first alone, the second alone say it; and all pairs.
    both = counts * (counts - 1) / 2
    one = counts * (people - counts) / 2
    tables = np.stack([both, one, one, np.broadcast_to(people * (people - 1) / 2, counts.shape)], axis=-1)
    total = tables.sum(0)
    value, agree, chance = _whole(total)
    low = high = None
    if len(tables) >= 2 and np.isfinite(value):
        kinds, times = np.unique(tables.reshape(len(tables), -1), axis=0, return_counts=True)
        drawn = np.random.default_rng(SEED).multinomial(len(tables), times / len(tables), size=DRAWS)
        values = _whole((drawn @ kinds).reshape(DRAWS, *total.shape))[0]
        values = values[np.isfinite(values)]
        low, high = (float(bound) for bound in np.quantile(values, [0.025, 0.975])) if len(values) else (None, None)
    each = kappa(total, alike=True)[0]
    return UseCaseAgreement(
        prompts=len(counts),
        pairs=int(total[0, 3]),
        agree=float(agree),
        chance=float(chance),
        kappa=float(value) if np.isfinite(value) else None,
        low=low,
        high=high,
        by_category=[float(one) if np.isfinite(one) else None for one in each],
    )


@np.errstate(divide="ignore", invalid="ignore")
def _whole(tables: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(kappa, share of pairs who agree, that share by chance) of (…, C, 4) sums."""
    _each, observed, expected = kappa(tables, alike=True)
    # Whoever disagrees does so in two categories.
    differ, differ_by_chance = (1 - observed).sum(-1) / 2, (1 - expected).sum(-1) / 2
    return np.where(differ_by_chance > 0, 1 - differ / differ_by_chance, np.nan), 1 - differ, 1 - differ_by_chance
