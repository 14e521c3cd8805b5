"""How much of the personal data the filter finds, and how much of what it finds is personal data. Pure: numbers in,
numbers out. docs/personal-data.md has the definitions.

Precision comes from people's words on what was found. What the filter missed is known from a blind sample of the
prompts that passed; recall is what was found of all there is, both estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054  # of the middle 95 % of a normal distribution


@dataclass(frozen=True)
class Share:
    """A share (0 to 1) with its 95 % interval; None where nothing was counted. `count` of `of` were."""

    value: float | None
    low: float | None
    high: float | None
    count: int
    of: int

    @property
    def interval(self) -> tuple[float, float] | None:
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Estimate:
    """Precision and recall of all kinds (an empty `kind`) or one. `missed` is the share of passed prompts in which
    people saw personal data."""

    kind: str
    precision: Share
    recall: Share
    missed: Share


def wilson(count: int, of: int) -> Share:
    """Wilson's (1927) 95 % score interval of `count` successes in `of` trials."""
    if of == 0:
        return Share(None, None, None, 0, 0)
    share = count / of
    scale = 1 + Z**2 / of
    middle = (share + Z**2 / (2 * of)) / scale
    half = Z * math.sqrt(share * (1 - share) / of + Z**2 / (4 * of**2)) / scale
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    # What rounding leaves at the ends.
    return Share(share, 0.0 if count == 0 else low, 1.0 if count == of else high, count, of)


def recall(*, real: Share, missed: Share, found: int, passed: int) -> Share:
    """The share of prompts with personal data that the filter found.

    Of `found` prompts the share `real` has some; of `passed` ones the share `missed` has. With R = passed * missed /
    (found * real), recall is 1 / (1 + R), and R's interval is that of the ratio of two independent shares by the method
    of variance estimates recovery (Donner and Zou 2012, equation 8), from the two Wilson intervals.
    """
    nothing = Share(None, None, None, 0, 0)
    if real.value is None or missed.value is None or found == 0:
        return nothing
    if real.value == 0:
        return (
            nothing
            if missed.value == 0
            else Share(0.0, 0.0, _bound(real.high, missed.low, found, passed), 0, missed.count)
        )
    low, high = ratio_interval(missed, real)
    scale = passed / found
    value = 1 / (1 + scale * missed.value / real.value)
    return Share(
        value, 1 / (1 + scale * high) if math.isfinite(high) else 0.0, 1 / (1 + scale * low), real.count,
        real.count + missed.count,
    )  # fmt: skip


def _bound(real: float, missed: float, found: int, passed: int) -> float:
    """The most that recall can be where nothing that was found was real so far."""
    return found * real / (found * real + passed * missed) if found * real + passed * missed else 1.0


def ratio_interval(first: Share, second: Share) -> tuple[float, float]:
    """The 95 % interval of the ratio first / second of two independent shares, second above 0."""
    top, bottom = first.value, second.value
    product = top * bottom
    under = first.low * second.high * (2 * top - first.low) * (2 * bottom - second.high)
    over = first.high * second.low * (2 * top - first.high) * (2 * bottom - second.low)
    least = second.high * (2 * bottom - second.high)
    most = second.low * (2 * bottom - second.low)
    low = _part(product, under, least, -1)
    high = _part(product, over, most, 1) if second.low > 0 else math.inf
    return max(0.0, low), high


def _part(product: float, inside: float, under: float, sign: int) -> float:
    root = math.sqrt(max(0.0, product**2 - inside))
    if abs(under) < 1e-12:
        # The quadratic has one root; its limit is what is left.
        return math.inf if sign > 0 else 0.0
    return (product + sign * root) / under
