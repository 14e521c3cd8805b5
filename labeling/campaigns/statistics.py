"""Win rates from rankings. Pure: ranks in, figures out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from labeling.intervals import clustered_interval

CANDIDATE, BASELINE = "candidate", "baseline"


@dataclass(frozen=True)
class Score:
    """Comparisons of one candidate's completion with one baseline's, by one labeler."""

    wins: int = 0
    ties: int = 0
    losses: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.wins + other.wins, self.ties + other.ties, self.losses + other.losses)

    @property
    def pairs(self) -> int:
        return self.wins + self.ties + self.losses

    @property
    def points(self) -> float:
        return self.wins + 0.5 * self.ties


def score_ranking(judgments: Iterable[tuple[int, frozenset[str]]]) -> Score:
    """The comparisons within one ranking. `judgments` are (rank, who wrote it), rank 1 is best.

    A text that both models wrote stands for both: against another it counts as either's, and the text against itself
    is a tie, once. Leaving it out would favour the model that wins where they differ.
    """
    judged = list(judgments)
    wins = ties = losses = 0
    for mine, writers in judged:
        if CANDIDATE not in writers:
            continue
        for other, others in judged:
            if BASELINE not in others:
                continue
            wins += mine < other
            ties += mine == other
            losses += mine > other
    return Score(wins, ties, losses)


@dataclass(frozen=True)
class WinRate:
    """How often the candidate's completion is ranked before the baseline's, a tie counting half."""

    score: Score
    rankings: int
    prompts: int
    rate: float | None
    ci95: tuple[float, float] | None

    def as_json(self) -> dict:
        return {
            "rate": self.rate,
            "ci95": list(self.ci95 or (None, None)),
            "wins": self.score.wins,
            "ties": self.score.ties,
            "losses": self.score.losses,
            "pairs": self.score.pairs,
            "rankings": self.rankings,
            "prompts": self.prompts,
        }


def win_rate(by_prompt: Iterable[list[Score]]) -> WinRate:
    """The rate over all comparisons, its interval by drawing whole prompts; `by_prompt` has a Score per ranking."""
    sums = [(sum(scores, Score()), len(scores)) for scores in by_prompt]
    total = sum((score for score, _ in sums), Score())
    return WinRate(
        score=total,
        rankings=sum(count for _, count in sums),
        prompts=len(sums),
        rate=total.points / total.pairs if total.pairs else None,
        ci95=clustered_interval(
            np.array([score.points for score, _ in sums], float), np.array([score.pairs for score, _ in sums], float)
        ),
    )
