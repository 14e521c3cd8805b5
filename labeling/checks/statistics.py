"""Control charts of a labeler's agreement with researchers, and of how they rate beside them. Pure: numbers in, a
dataclass a week out.

A *p-chart* (Montgomery, Introduction to Statistical Quality Control, chapter 7): each week's share of pairs put in the
researchers' order, against what is usual. Its limits are the exact binomial ones at 0.135 % on either side, the tail
beyond three standard deviations; the score test that they spell out is the one that Wilson's interval turns round.
Pairs of one task go wrong together, so a week counts as `compared / inflation` pairs, where the inflation is the ratio
of the variance between tasks to the binomial one (the design effect of a ratio of clusters; Laney's p'-chart, 2002,
widens limits for the same reason).

Small drifts, which no single week shows, are seen by an *EWMA* (Roberts 1959) of the standardised weeks, with weight
0.2 and limits at 2.859 standard deviations (Lucas & Saccucci 1990: one false alarm in 500 weeks, either side).

Of ratings a second chart watches the mean difference from the researchers', in points: an *x̄-chart* of the checks'
differences with limits at three standard errors, and the same average of weeks (Montgomery, chapters 6 and 9). Both
look at either side: somebody who grows mild is as far from the team as somebody who grows strict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

TAIL = 0.00135
WEIGHT, WIDTH = 0.2, 2.859
LEAST = 5  # checks in a week for it to be judged
OWN = 30  # checks before a labeler's own past says what is usual for them; before, the team's does
LAG = 4  # weeks that are no past yet: a slow drift would else become usual while it goes on


@dataclass(frozen=True)
class Usual:
    """A share of pairs, and by how much the pairs of one task go together (1: not at all)."""

    rate: float
    inflation: float


@dataclass(frozen=True)
class UsualShift:
    """A mean difference of a check's ratings from the researchers', and its standard deviation between checks, in
    points."""

    rate: float
    deviation: float


@dataclass(frozen=True)
class Week:
    """Shares between 0 and 1; of leniency `shift`, `usual` and the limits are points. `limit`, `upper` and `average`
    are None where the week is not judged."""

    week: date  # its Monday
    checks: int
    agreed: int
    compared: int
    usual: float
    own: bool  # whether `usual` is the labeler's own past
    limit: float | None
    upper: float | None
    average: float | None  # the EWMA, in standard deviations of a week
    average_limit: float | None  # the lower one; of leniency the upper one is as far on the other side
    reasons: tuple[str, ...]  # "limit", "drift", "level"; empty: in control
    shift: float | None = None  # mean difference from the researchers' ratings

    @property
    def rate(self) -> float:
        return self.agreed / self.compared

    @property
    def value(self) -> float:
        """What the chart shows."""
        return self.rate if self.shift is None else self.shift


@dataclass(frozen=True)
class Dip:
    """Weeks in a row that were out of control."""

    weeks: tuple[Week, ...]


def usual_of_sums(agreed: float, compared: float, squares: tuple[float, float, float]) -> Usual:
    """From sums over checks: of agreed a and compared n, and of (a², an, n²). 0.5 and 1 are added to the pairs, as
    Jeffreys' prior does, so that who was always right has limits, too."""
    rate = (agreed + 0.5) / (compared + 1)
    between = squares[0] - 2 * rate * squares[1] + rate * rate * squares[2]  # Σ (a - rate n)²
    within = rate * (1 - rate) * compared
    return Usual(rate, max(1.0, between / within) if within else 1.0)


def usual_of(checks: Iterable[tuple[int, int]]) -> Usual:
    """From (agreed, compared) of each check."""
    checks = list(checks)
    squares = (sum(a * a for a, _ in checks), sum(a * n for a, n in checks), sum(n * n for _, n in checks))
    return usual_of_sums(sum(a for a, _ in checks), sum(n for _, n in checks), squares)


def limits(rate: float, pairs: float) -> tuple[float, float]:
    """The exact binomial limits of a share of `pairs` independent pairs, rounded down to a whole number of them. A
    share below the first, or above the second, comes once in 741 weeks at most while `rate` holds."""
    number = max(1, math.floor(pairs))
    low, high = _least(rate, number), number - _least(1 - rate, number)
    return low / number, high / number


def _least(rate: float, number: int) -> int:
    """The smallest k for which k or fewer of `number` come more often than TAIL."""
    total = 0.0
    for count in range(number + 1):
        logarithm = (
            math.lgamma(number + 1)
            - math.lgamma(count + 1)
            - math.lgamma(number - count + 1)
            + count * math.log(rate)
            + (number - count) * math.log1p(-rate)
        )
        total += math.exp(logarithm)
        if total > TAIL:
            return count
    return number


def usual_shift_of_sums(checks: int, total: float, squares: float) -> UsualShift:
    """From the number of checks, and the sums of their mean differences and of the squares of these. One check's
    difference of a point is added to the variance, so that who was always alike has limits, too."""
    mean = total / checks
    return UsualShift(mean, math.sqrt((max(0.0, squares - checks * mean * mean) + 1) / checks))


# Of one check: of `compared` pairs, ratings or flags how many agreed, and their mean difference in points.
Check = tuple[int, int, float]


def chart(checks: Iterable[tuple[date, int, int]], *, team: Usual, level: float) -> list[Week]:
    """The weeks of one labeler, in order, from (day, agreed, compared) of each check in order of days.

    What is usual is their own share in weeks that were in control and are more than LAG weeks back, once these hold OWN
    checks; the team's before. Below `level` a week is out of control whatever is usual.
    """

    def judge(held: list[Check], usual: Usual) -> tuple[float, float, float]:
        agreed, compared = sum(a for a, _, _ in held), sum(n for _, n, _ in held)
        pairs = compared / usual.inflation
        deviation = (agreed / compared - usual.rate) / math.sqrt(usual.rate * (1 - usual.rate) / pairs)
        return *limits(usual.rate, pairs), deviation

    def out(week: Week) -> dict[str, bool]:
        return {
            "limit": week.rate < week.limit,
            "drift": week.average < week.average_limit,
            "level": week.rate < level,
        }

    given = ((day, (agreed, compared, 0.0)) for day, agreed, compared in checks if compared)
    return _weeks(given, team, lambda past: usual_of((a, n) for a, n, _ in past), judge, out, shifts=False)


def shift_chart(checks: Iterable[tuple[date, int, int, float]], *, team: UsualShift) -> list[Week]:
    """The weeks of one labeler's leniency from (day, agreed, compared, shift) of each check in order of days: of its
    ratings how many agreed, and the sum of their differences from the researchers'. What is usual as in `chart`."""

    def usual_of_past(past: list[Check]) -> UsualShift:
        means = [mean for _, _, mean in past]
        return usual_shift_of_sums(len(means), sum(means), sum(mean * mean for mean in means))

    def judge(held: list[Check], usual: UsualShift) -> tuple[float, float, float]:
        error = usual.deviation / math.sqrt(len(held))
        mean = sum(mean for _, _, mean in held) / len(held)
        return usual.rate - 3 * error, usual.rate + 3 * error, (mean - usual.rate) / error

    def out(week: Week) -> dict[str, bool]:
        return {
            "limit": not week.limit <= week.shift <= week.upper,
            "drift": abs(week.average) > -week.average_limit,
        }

    given = ((day, (agreed, compared, shift / compared)) for day, agreed, compared, shift in checks if compared)
    return _weeks(given, team, usual_of_past, judge, out, shifts=True)


def _weeks(
    checks: Iterable[tuple[date, Check]],
    team: Any,
    usual_of_past: Callable,
    judge: Callable,
    out: Callable,
    shifts: bool,
) -> list[Week]:
    """The weeks, of which `judge` knows the limits and the standardised deviation, and `out` why they are out."""
    by_week: dict[date, list[Check]] = {}
    for day, check in checks:
        by_week.setdefault(day - timedelta(days=day.weekday()), []).append(check)
    weeks: list[Week] = []
    good: list[tuple[date, list[Check]]] = []
    average, judged = 0.0, 0
    for monday, held in sorted(by_week.items()):
        before = monday - timedelta(weeks=LAG)
        past = [check for week, found in good if week < before for check in found]
        own = len(past) >= OWN
        usual = usual_of_past(past) if own else team
        low = high = edge = None
        if len(held) >= LEAST:
            judged += 1
            low, high, deviation = judge(held, usual)
            average = WEIGHT * deviation + (1 - WEIGHT) * average
            # Its variance after so many weeks, in units of one week's.
            edge = -WIDTH * math.sqrt(WEIGHT / (2 - WEIGHT) * (1 - (1 - WEIGHT) ** (2 * judged)))
        week = Week(
            week=monday,
            checks=len(held),
            agreed=sum(a for a, _, _ in held),
            compared=sum(n for _, n, _ in held),
            usual=usual.rate,
            own=own,
            limit=low,
            upper=high,
            average=average if edge is not None else None,
            average_limit=edge,
            reasons=(),
            shift=sum(mean for _, _, mean in held) / len(held) if shifts else None,
        )
        if edge is not None:
            week = replace(week, reasons=tuple(name for name, is_out in out(week).items() if is_out))
        if not week.reasons:
            good.append((monday, held))
        weeks.append(week)
    return weeks


def dips_of(weeks: Sequence[Week]) -> list[Dip]:
    """The runs of weeks out of control. A week with too few checks to judge neither ends nor makes one."""
    dips: list[list[Week]] = []
    inside = False
    for week in weeks:
        if week.limit is None:
            continue
        if week.reasons and inside:
            dips[-1].append(week)
        elif week.reasons:
            dips.append([week])
        inside = bool(week.reasons)
    return [Dip(tuple(run)) for run in dips]
