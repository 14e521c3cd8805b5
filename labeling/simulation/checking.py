"""How well reports tell what is known of a simulated population."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from labeling.quality.statistics import LEVEL, spearman, t_quantile
from labeling.simulation.population import Population, account_names


@dataclass(frozen=True)
class Check:
    """`covered` of `planted` biases of place and length lie within their 95 % intervals; `all_within`: all of them
    within intervals as wide as so many together need (Bonferroni)."""

    spearman: float
    spammers_found: int
    false_alarms: int
    planted: int
    covered: int
    all_within: bool

    def as_json(self) -> dict:
        return {**asdict(self), "spearman": round(self.spearman, 4)}


def check(people: Population, figures: dict[tuple[int, str], object], spam: Iterable[int]) -> Check:
    """`figures` are findings or report rows by number of the labeler and kind; `spam` are numbers, too."""
    skill = [
        number
        for number in range(len(people.skill))
        if (number, "skill") in figures and figures[number, "skill"].value is not None
    ]
    said = np.array([figures[number, "skill"].value for number in skill])
    z, covered, clusters = [], 0, 2
    for kind, truth in (("place", people.place), ("length", people.length)):
        for number in range(len(people.skill)):
            found = figures.get((number, kind))
            if number in people.spammers or found is None or found.effect is None:
                continue
            z.append((found.detail["log_odds"] - truth[number]) / found.detail["error"])
            clusters = found.prompts
            planted = 0.5 * np.tanh(0.5 * truth[number])
            covered += bool(found.low <= planted <= found.high)
    spam = set(spam)
    return Check(
        spearman=spearman(said, people.skill[skill]),
        spammers_found=len(spam & set(people.spammers)),
        false_alarms=len(spam - set(people.spammers)),
        planted=len(z),
        covered=covered,
        all_within=bool(z) and bool(np.abs(z).max() <= t_quantile(1 - (1 - LEVEL) / 2 / len(z), clusters - 1)),
    )


def check_reports(people: Population, reports: Iterable, standings: Iterable) -> Check:
    """From rows of the database; labelers that are not of the population are passed over."""
    numbers = {name: number for number, name in enumerate(account_names())}
    figures = {(numbers[row.labeler.username], row.kind): row for row in reports if row.labeler.username in numbers}
    spam = [numbers[row.labeler.username] for row in standings if row.spam and row.labeler.username in numbers]
    return check(people, figures, spam)
