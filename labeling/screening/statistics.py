"""What a gate says of an applicant, in figures. Pure: numbers in, numbers out. Formulas are in docs/screening.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Z = 1.959963984540054  # of the middle 95 % of a normal distribution


@dataclass(frozen=True)
class Figure:
    """A share (0 to 1) or a mean grade (1 to 7) with its 95 % interval; None where there is nothing to say. `count` is
    what it was counted over, `items` how many items these came from, which is what the interval rests on."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    items: int
    method: str  # "clustered", "wilson" or ""


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's (1927) 95 % score interval of a share of `count` trials."""
    middle = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def share_of(agree: Sequence[float], counts: Sequence[float]) -> Figure:
    """The share `sum(agree) / sum(counts)`, one entry of each an item.

    The interval draws whole items with replacement, since what is counted within one is not independent. Where all
    items came out alike, or there is but one, drawing says nothing: then it is Wilson's, over items.
    """
    # Here, not above: the web process loads numpy when the first report is asked for.
    from labeling.intervals import clustered_interval

    used = [(part, whole) for part, whole in zip(agree, counts, strict=True) if whole > 0]
    if not used:
        return Figure(None, None, None, 0, 0, "")
    parts, wholes = (list(values) for values in zip(*used, strict=True))
    share = sum(parts) / sum(wholes)
    drawn = clustered_interval(parts, wholes)
    if drawn is None or drawn[1] - drawn[0] < 1e-9:
        return Figure(share, *wilson(share, len(used)), round(sum(wholes)), len(used), "wilson")
    return Figure(share, *drawn, round(sum(wholes)), len(used), "clustered")


def mean_grade(means: Sequence[float], *, low: int = 1, high: int = 7) -> Figure:
    """The mean of the demonstrations' mean grades, one entry each.

    The interval draws demonstrations with replacement. Where they came out alike it is Wilson's of where the mean lies
    between `low` and `high`: no grades between these vary more than grades at the two ends.
    """
    span = high - low
    shares = share_of([(mean - low) / span for mean in means], [1.0] * len(means))
    if shares.value is None:
        return shares
    value, bottom, top = (low + span * share for share in (shares.value, shares.low, shares.high))
    return Figure(value, bottom, top, shares.count, shares.items, shares.method)


def same_order(mine: Mapping[str, int], theirs: Mapping[str, int]) -> tuple[int, int]:
    """Of the pairs of texts that both put in an order, how many in the same one; ties by either are left out, as in
    `agreement.statistics.pairwise`. Both map a text's key to its rank."""
    agree = pairs = 0
    for left, right in combinations(sorted(mine.keys() & theirs.keys()), 2):
        one, two = mine[left] - mine[right], theirs[left] - theirs[right]
        if one and two:
            pairs += 1
            agree += (one > 0) == (two > 0)
    return agree, pairs


def same_flags(mine: Mapping[str, bool], theirs: Mapping[str, bool]) -> tuple[int, int]:
    """Of the texts that both looked at, how many both called sensitive or both did not."""
    common = mine.keys() & theirs.keys()
    return sum(mine[each] == theirs[each] for each in common), len(common)
