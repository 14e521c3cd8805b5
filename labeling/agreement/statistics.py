"""Statistics of agreement as functions of sums over pairs of labelers. Pure: sums in, figures out.

Each takes sums of any shape (…, width) and gives an array (…): the same code yields the figure and its 2,000 draws.
NaN stands where there is too little to say. Formulas, with their sources, are in docs/agreement.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labeling.agreement import pairs
from labeling.agreement.pairs import RATINGS, Layout, square, triangle
from labeling.agreement.sums import Sums


@dataclass(frozen=True)
class Figure:
    """A statistic with its 95 % interval and what chance alone would give. None where there is too little to say."""

    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    count: int  # of what it rests on, e.g. pairs

    def as_json(self, count: str = "pairs") -> dict:
        return {"value": self.value, count: self.count, "ci95": [self.low, self.high], "chance": self.chance}


@np.errstate(divide="ignore", invalid="ignore")
def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / whole, np.nan)


def pairwise(sums: np.ndarray) -> np.ndarray:
    """Share of pairs of completions that both labelers ordered alike, ties by either left out."""
    return share(sums[..., pairs.AGREE], sums[..., pairs.PAIRS])


def ties_half(sums: np.ndarray) -> np.ndarray:
    return share(sums[..., pairs.HALF_AGREE], sums[..., pairs.HALF_PAIRS])


def ties_half_chance(sums: np.ndarray, *, alike: bool) -> np.ndarray:
    """Two labelers who tie as often as these, else toss a coin: 1/2 + t1 t2 / 2 with t the share that each ties."""
    first, second = (share(sums[..., place], sums[..., pairs.HALF_PAIRS]) for place in (4, 5))
    return 0.5 + (((first + second) / 2) ** 2 if alike else first * second) / 2


def tau_b(sums: np.ndarray) -> np.ndarray:
    """Mean of Kendall's tau-b over the pairs of labelers for which it is defined."""
    return share(sums[..., pairs.TAU], sums[..., pairs.TAUS])


def ratings_table(sums: np.ndarray, layout: Layout, *, alike: bool) -> np.ndarray:
    """(…, 7, 7) ratings of the first labeler by those of the second; of labelers who are alike, in either order."""
    flat = sums[..., layout.ratings : layout.ratings + RATINGS * RATINGS]
    table = flat.reshape(*flat.shape[:-1], RATINGS, RATINGS)
    return table + np.swapaxes(table, -1, -2) if alike else table


@np.errstate(divide="ignore", invalid="ignore")
def correlation(table: np.ndarray, *, ranks: bool) -> np.ndarray:
    """Pearson's correlation of a (…, 7, 7) table of counts, or Spearman's: Pearson's of mid-ranks."""
    table = np.asarray(table, float)
    total = table.sum((-2, -1))
    sides = [table.sum(-1), table.sum(-2)]  # (…, 7)
    scores = []
    for side in sides:
        if ranks:
            scores.append(np.cumsum(side, -1) - side / 2)
        else:
            scores.append(np.broadcast_to(np.arange(1.0, RATINGS + 1), side.shape))
    centred = [score - ((score * side).sum(-1) / total)[..., None] for score, side in zip(scores, sides, strict=True)]
    both = (table * centred[0][..., :, None] * centred[1][..., None, :]).sum((-2, -1))
    spread = [(centre**2 * side).sum(-1) for centre, side in zip(centred, sides, strict=True)]
    scale = np.sqrt(spread[0] * spread[1])
    return np.where(scale > 1e-9, both / scale, np.nan)


@np.errstate(divide="ignore", invalid="ignore")
def alphas_of(coincidences: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha, ordinal, of many (…, V, V) matrices of coincidences at once; 2,000 draws take milliseconds.
    NaN where there are fewer than two values, or no two that differ.

    The distance of two values is the square of how many lie from one to the other, half of either counted:
    with c the running sum of counts less half of the own one, that is (c[k] - c[v])^2.
    """
    counts = coincidences.sum(-1)  # (…, V)
    middle = np.cumsum(counts, -1) - counts / 2
    distances = (middle[..., :, None] - middle[..., None, :]) ** 2
    total = counts.sum(-1)
    observed = (coincidences * distances).sum((-2, -1))
    # The diagonal of what is expected counts for nothing: its distance is 0.
    expected = (counts[..., :, None] * counts[..., None, :] * distances).sum((-2, -1)) / (total - 1)
    return np.where((total >= 2) & (expected > 0), 1 - observed / expected, np.nan)


def coincidences(sums: np.ndarray, offset: int, size: int) -> np.ndarray:
    return square(np.asarray(sums[..., offset : offset + triangle(size)], float), size)


@np.errstate(divide="ignore", invalid="ignore")
def kappa(counts: np.ndarray, *, alike: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kappa, observed and expected agreement of (…, 4) counts: both, the first alone, the second alone, asked.

    Across two sets of labelers Cohen's (1960); of labelers who are alike Fleiss's (1971), pooled over pairs, which for
    two is Scott's pi.
    """
    both, first, second, asked = (np.asarray(counts[..., place], float) for place in range(4))
    observed = 1 - (first + second) / asked
    shares = [(both + first) / asked, (both + second) / asked]
    if alike:
        shares = [(shares[0] + shares[1]) / 2] * 2
    expected = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
    known = (asked > 0) & (expected < 1 - 1e-12)
    return np.where(known, (observed - expected) / (1 - expected), np.nan), observed, expected


# Figures with their intervals


def figures(sums: Sums, slot: int, layout: Layout | None = None, flags: Sequence[str] = (), *, alike: bool) -> dict:
    """All statistics of one slot. `alike`: its two labelers are of one set; otherwise the first stands on one side.

    Without a layout the sums have the first columns alone, and the statistics of orders are all there are.
    """
    total, draws = sums.total[slot], sums.draws(slot)

    def measure(function, columns: slice, *, chance: float | None = 0.0, each: int = 1) -> Figure:
        clusters = int(sums.by_cluster[slot][:, columns].any(axis=1).sum())
        value = float(function(total))
        drawn = function(draws) if clusters >= 2 and np.isfinite(value) else np.empty(0)
        return _figure(value, drawn, chance, each * total[columns].sum())

    half = float(ties_half_chance(total, alike=alike))
    found: dict = {
        "pairwise": _as_share(measure(pairwise, _at(pairs.PAIRS), chance=0.5), total[pairs.AGREE], int),
        "ties_half": _as_share(
            measure(ties_half, _at(pairs.HALF_PAIRS), chance=half if np.isfinite(half) else None),
            total[pairs.HALF_AGREE],
            float,
        ),
        "tau_b": measure(tau_b, _at(pairs.TAUS)).as_json("pairs_of_rankings"),
    }
    if layout:
        for name, offset, size in (
            ("alpha_ranks", layout.rank_coincidences, layout.ranks),
            ("alpha_ratings", layout.rating_coincidences, RATINGS),
        ):
            made = measure(
                lambda sums, offset=offset, size=size: alphas_of(coincidences(sums, offset, size)),
                slice(offset, offset + triangle(size)),
                each=2,  # a pair's weight stands for both directions
            )
            found[name] = made.as_json("values")
        for name, ranks in (("ratings_pearson", False), ("ratings_spearman", True)):
            found[name] = measure(
                lambda sums, ranks=ranks: correlation(ratings_table(sums, layout, alike=alike), ranks=ranks),
                slice(layout.ratings, layout.ratings + RATINGS * RATINGS),
            ).as_json()
        found["flags"] = _flags(total, draws, layout, flags, alike, measure)
    return found | {"tasks": int(sums.tasks[slot]), "prompts": int(sums.prompts[slot])}


def _flags(total, draws, layout: Layout, names: Sequence[str], alike: bool, measure) -> dict:
    """Kappa of each flag that was asked for, and their mean over those for which it is defined."""
    by_flag = {}

    def kappa_of(number: int, sums: np.ndarray) -> np.ndarray:
        place = layout.flag_counts + 4 * number
        return kappa(sums[..., place : place + 4], alike=alike)[0]

    defined = []
    for number, name in enumerate(names):
        place = layout.flag_counts + 4 * number
        both, first, second, asked = total[place : place + 4]
        if not asked:
            continue
        made = measure(lambda sums, number=number: kappa_of(number, sums), _at(place + 3))
        _value, observed, expected = kappa(total[place : place + 4], alike=alike)
        by_flag[name] = {
            **made.as_json(),
            "agree": float(observed),
            "agree_chance": float(expected),
            "set": float((2 * both + first + second) / (2 * asked)),
        }
        if made.value is not None:
            defined.append(number)

    def mean(sums: np.ndarray) -> np.ndarray:
        return np.mean([kappa_of(number, sums) for number in defined], axis=0)

    made = Figure(None, None, None, 0.0, 0)
    if defined:
        made = replace(measure(mean, _at(layout.flag_counts + 4 * defined[0] + 3)), count=len(defined))
    return {"mean": made.as_json("flags"), "by_flag": by_flag}


def _at(column: int) -> slice:
    return slice(column, column + 1)


def _figure(value: float, drawn: np.ndarray, chance: float | None, count: float) -> Figure:
    """The figure with the middle 95 % of its draws; those in which nothing was drawn to count are left out."""
    count = int(round(count))
    if not np.isfinite(value):
        return Figure(None, None, None, chance, count)
    drawn = drawn[np.isfinite(drawn)]
    low, high = (float(bound) for bound in np.quantile(drawn, [0.025, 0.975])) if len(drawn) else (None, None)
    return Figure(value, low, high, chance, count)


def _as_share(figure: Figure, agree: float, whole: type) -> dict:
    return {
        "agree": whole(round(agree, 6)),
        "pairs": figure.count,
        "rate": figure.value,
        "ci95": [figure.low, figure.high],
        "chance": figure.chance,
    }
