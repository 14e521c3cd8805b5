"""What the quality reports are computed with. Pure: arrays in, figures out. docs/quality.md has formulas and sources.

Two estimators do nearly everything. `fit_choices` is a paired-comparison logit with covariates (Bradley & Terry 1952),
in which the quality that colleagues see in two completions is a latent variable. `share` is a ratio of sums. The
intervals of both are robust and clustered: answers to one prompt are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
NODES = 11  # of the Gauss–Hermite rule by which a latent quality is integrated out
# Log-odds; a normal prior that keeps an estimate finite where somebody always chooses alike. 3,000 pairs outweigh it.
PRIOR_SD = 3.0
MOST_TEAM_PAIRS = 40_000  # drawn by prompts for the team's three figures, which need no more
_normal = NormalDist()


@dataclass(frozen=True)
class Estimate:
    """A figure with its standard error, from so many independent clusters."""

    value: float
    error: float
    clusters: int

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        half = t_quantile(0.5 + level / 2, self.clusters - 1) * self.error
        return self.value - half, self.value + half

    def p_of(self, null: float) -> float:
        """Two-sided probability of an estimate at least so far from `null` if that were true."""
        if self.error == 0:
            return 1.0 if self.value == null else 0.0
        return p_value((self.value - null) / self.error, self.clusters - 1)


def t_quantile(probability: float, freedom: float) -> float:
    """Quantile of Student's t. Abramowitz & Stegun 26.7.5, right to 0.01 from 5 degrees of freedom on."""
    z, n = _normal.inv_cdf(probability), max(freedom, 1.0)
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )


def p_value(t: float, freedom: float) -> float:
    """Two-sided, of Student's t. Abramowitz & Stegun 26.7.8."""
    n = max(freedom, 1.0)
    z = abs(t) * (1 - 1 / (4 * n)) / math.sqrt(1 + t * t / (2 * n))
    return math.erfc(z / math.sqrt(2))


def benjamini_hochberg(p_values: Sequence[float], rate: float = 0.05) -> np.ndarray:
    """Which of many looks to believe so that at most `rate` of those believed are expected to be chance.

    Benjamini & Hochberg (1995): the largest k with p₍k₎ ≤ k/m · rate, and all up to it. Right also for looks that
    depend on each other positively. (m,) p-values in, (m,) booleans out.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    passes = np.nonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))[0]
    found = np.zeros(len(p), bool)
    if len(passes):
        found[order[: passes[-1] + 1]] = True
    return found


def sums_by(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(G, …) sums of (N, …) `values` over equal `groups`, numbers of any kind; the groups in rising order."""
    _, inverse = np.unique(groups, return_inverse=True)
    if values.ndim == 1:
        return np.bincount(inverse, weights=values)
    return np.stack([np.bincount(inverse, weights=column) for column in values.T], axis=1)


def share(sums: np.ndarray, counts: np.ndarray, clusters: np.ndarray) -> Estimate | None:
    """Σ sums / Σ counts, e.g. of pairs, with its error by linearisation over clusters (Cochran 1977, 6.3).

    All (N,), in any order; rows of one cluster belong together. None for fewer than two clusters that count.
    """
    used = counts > 0
    if not used.any():
        return None
    a, n = sums_by(clusters[used], np.stack([sums[used], counts[used]], axis=1)).T
    if len(n) < 2:
        return None
    value = a.sum() / n.sum()
    influence = (a - value * n) / n.sum()
    return Estimate(float(value), _clustered_error(influence), len(n))


def deviation(values: np.ndarray, clusters: np.ndarray) -> Estimate | None:
    """Standard deviation of `values` (N,), its error by the influence function ((x − μ)² − σ²) / 2σ, clustered."""
    if len(values) < 2:
        return None
    centred = values - values.mean()
    sd = math.sqrt((centred**2).mean())
    count = len(np.unique(clusters))
    if count < 2:
        return None
    if sd == 0:
        return Estimate(0.0, 0.0, count)
    influence = sums_by(clusters, (centred**2 - sd**2) / (2 * sd)) / len(values)
    return Estimate(sd, _clustered_error(influence), count)


def _clustered_error(influence: np.ndarray) -> float:
    """The root of the sum of squares over clusters, G/(G−1) for their being few."""
    count = len(influence)
    return math.sqrt(count / (count - 1) * float((influence**2).sum()))


def difference(own: Estimate, others: Estimate) -> Estimate:
    """own − others, as of independent samples: that both saw some prompts alike makes the interval a little wide."""
    return Estimate(own.value - others.value, math.hypot(own.error, others.error), own.clusters)


def pooled(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """The weighted mean of what several labelers have, they themselves taken as given."""
    w = np.asarray(weights, float) / np.sum(weights)
    return Estimate(
        float(sum(w * [each.value for each in estimates])),
        math.sqrt(float(sum(w**2 * [each.error**2 for each in estimates]))),
        sum(each.clusters for each in estimates),
    )


# Choices between two completions


@dataclass(frozen=True)
class Choices:
    """Pairs of completions that somebody put in order: the first of each pair against the second.

    `first` (N,) is 1 where the first was preferred, 0 where the second was, ½ for a tie. `x` (N, F) holds how much more
    the first has of each feature that may sway a labeler. `wins` and `seen` (N,) say of how many colleagues the first
    was preferred, ties as half, and how many ordered the same pair. `clusters` (N,) are prompts.
    """

    first: np.ndarray
    x: np.ndarray
    wins: np.ndarray
    seen: np.ndarray
    clusters: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> Choices:
        return Choices(self.first[rows], self.x[rows], self.wins[rows], self.seen[rows], self.clusters[rows])


@dataclass(frozen=True)
class Team:
    """How completions differ, as the team as a whole sees them: difference of quality ~ N(η · x, τ²), in log-odds of an
    average colleague's choice. `known` tells whether anything is known of τ: pairs that two or more ordered."""

    spread: float  # τ
    features: np.ndarray  # η, (F,)
    covariance: np.ndarray  # of η, (F, F)
    clusters: int
    known: bool

    def estimate(self, weights: np.ndarray) -> Estimate:
        return _combined(weights, self.features, self.covariance, self.clusters)


@dataclass(frozen=True)
class Fit:
    """What sways one labeler beside quality: log-odds for each feature, NaN where it never differed, and their
    attention to quality in units of an average colleague's."""

    attention: float
    effects: np.ndarray  # (F,)
    covariance: np.ndarray  # (F, F)
    clusters: int

    def estimate(self, weights: np.ndarray) -> Estimate:
        return _combined(weights, self.effects, self.covariance, self.clusters)


def _combined(weights: np.ndarray, values: np.ndarray, covariance: np.ndarray, clusters: int) -> Estimate:
    """The sum of weights · values; features of weight 0 may be NaN."""
    used = np.asarray(weights) != 0
    w = np.asarray(weights, float)[used]
    variance = float(w @ covariance[np.ix_(used, used)] @ w)
    return Estimate(float(w @ values[used]), math.sqrt(variance) if variance >= 0 else math.nan, clusters)


def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights that integrate over a standard normal, both (NODES,)."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return points, weights / weights.sum()


def _expit(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _qualities(choices: Choices, team: Team, shared: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Differences of quality that are possible, and how likely each is after what colleagues said: both (N, NODES).

    Bayes: N(η · x, τ²) before; each colleague prefers the first with probability σ(difference).
    """
    points, weights = _nodes()
    delta = (choices.x[:, shared] @ team.features)[:, None] + team.spread * points
    log = np.log(weights) - choices.wins[:, None] * np.logaddexp(0, -delta)
    log -= (choices.seen - choices.wins)[:, None] * np.logaddexp(0, delta)
    likely = np.exp(log - log.max(1, keepdims=True))
    return delta, likely / likely.sum(1, keepdims=True)


def fit_team(choices: Choices, shared: Sequence[int], *, steps: int = 50) -> Team:
    """What of quality the features `shared` (columns of x that are the completions' own) go with, and its spread.

    Marginal maximum likelihood over pairs, each pair once: `wins` and `seen` there count everybody. Scoring with outer
    products (Berndt et al. 1974). Errors are clustered by prompt.
    """
    z = choices.x[:, shared]
    counts, known = z.shape[1], bool((choices.seen >= 2).sum() >= 20)
    points, weights = _nodes()
    theta = np.zeros(counts + 1)
    theta[-1] = 1.0 if known else 0.0  # τ
    lose = choices.seen - choices.wins

    def scores(theta: np.ndarray) -> tuple[float, np.ndarray]:
        delta = (z @ theta[:-1])[:, None] + theta[-1] * points
        log = np.log(weights) - choices.wins[:, None] * np.logaddexp(0, -delta) - lose[:, None] * np.logaddexp(0, delta)
        top = log.max(1, keepdims=True)
        likely = np.exp(log - top)
        total = likely.sum(1, keepdims=True)
        residual = likely / total * (choices.wins[:, None] - choices.seen[:, None] * _expit(delta))
        gradient = np.concatenate([z * residual.sum(1)[:, None], (residual @ points)[:, None]], axis=1)
        penalty = (theta[:-1] ** 2).sum() / (2 * PRIOR_SD**2)
        return float((top[:, 0] + np.log(total[:, 0])).sum() - penalty), gradient

    free = np.ones(counts + 1, bool)
    free[-1] = known
    ridge = np.full(counts + 1, 1 / PRIOR_SD**2)
    ridge[-1] = 1e-9
    value, gradient = scores(theta)
    information = np.eye(counts + 1)
    for _ in range(steps):
        slope = gradient.sum(0) - ridge * theta
        information = gradient.T @ gradient + np.diag(ridge + 1e-9)
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], slope[free])
        for _half in range(20):
            ahead, ahead_gradient = scores(theta + step)
            if ahead >= value - 1e-9:
                break
            step /= 2
        theta, moved, value, gradient = theta + step, np.abs(step).max(), ahead, ahead_gradient
        if moved < 1e-4:
            break
    # The outer products are the information; the same, of whole prompts, is what the sandwich is filled with.
    bread = np.linalg.inv(information[np.ix_(free, free)])
    clustered = sums_by(choices.clusters, gradient[:, free])
    meat = clustered.T @ clustered
    covariance = (bread @ meat @ bread)[:counts, :counts]
    return Team(abs(float(theta[-1])), theta[:-1], covariance, len(clustered), known)


def fit_choices(choices: Choices, team: Team, shared: Sequence[int], *, steps: int = 30) -> Fit | None:
    """What sways one labeler, at equal quality: the coefficients of x in

        P(first preferred) = ∫ σ(attention · δ + effects · x) p(δ | what colleagues said) dδ

    p is `_qualities`'. A feature that the whole team likes is part of δ: of features in `shared` an effect is what the
    labeler likes more than colleagues do. Others, such as the place on the screen, are absolute. Quasi-likelihood
    (McCullagh & Nelder 1989, chapter 9) by Fisher scoring, ties as half, errors by the sandwich over prompts (Liang &
    Zeger 1986). None for fewer than two prompts.
    """
    count = len(np.unique(choices.clusters)) if len(choices) else 0
    if count < 2:
        return None
    delta, likely = _qualities(choices, team, shared)
    features = choices.x.shape[1]
    theta = np.zeros(features + 1)
    theta[0] = 1.0
    # Without a colleague's word attention is anybody's guess: 1.
    free = np.ones(features + 1, bool)
    free[0] = team.known and bool((choices.seen > 0).sum() >= 20)
    free[1:] = np.abs(choices.x).max(0) > 0
    ridge = np.full(features + 1, 1 / PRIOR_SD**2)
    centre = np.zeros(features + 1)
    centre[0] = 1.0

    def slopes(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The mean (N,), its derivative (N, F + 1), and the variance of a choice (N,)."""
        chance = _expit(theta[0] * delta + (choices.x @ theta[1:])[:, None])
        mean = np.clip((likely * chance).sum(1), 1e-6, 1 - 1e-6)
        slope = likely * chance * (1 - chance)
        derivative = np.concatenate([(slope * delta).sum(1)[:, None], choices.x * slope.sum(1)[:, None]], axis=1)
        return mean, derivative, mean * (1 - mean)

    for _ in range(steps):
        mean, derivative, variance = slopes(theta)
        weighted = derivative / variance[:, None]
        gradient = weighted.T @ (choices.first - mean) - ridge * (theta - centre)
        information = weighted.T @ derivative + np.diag(ridge)
        step = np.zeros_like(theta)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], gradient[free])
        theta += np.clip(step, -1, 1)  # a far step of a flat start comes back in several
        if np.abs(step).max() < 1e-5:
            break
    mean, derivative, variance = slopes(theta)
    weighted = derivative / variance[:, None]
    bread = np.linalg.inv((weighted.T @ derivative + np.diag(ridge))[np.ix_(free, free)])
    scores = sums_by(choices.clusters, (weighted * (choices.first - mean)[:, None])[:, free])
    covariance = np.full((features + 1, features + 1), np.nan)
    covariance[np.ix_(free, free)] = bread @ (scores.T @ scores) @ bread * count / (count - 1)
    effects = np.where(free, theta, np.nan)[1:]
    return Fit(float(theta[0]), effects, covariance[1:, 1:], count)


def robust_z(values: np.ndarray, *, least: float) -> np.ndarray:
    """How far each of `values` lies from the median, in median absolute deviations that a normal would call σ.

    `least` is the smallest σ believed: among equal labelers a hair's breadth is no outlier. NaN stays NaN.
    """
    if not np.isfinite(values).any():
        return np.full(len(values), np.nan)
    middle = np.nanmedian(values)
    return (values - middle) / max(1.4826 * float(np.nanmedian(np.abs(values - middle))), least)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Rank correlation, equal values at their mean rank."""
    return float(np.corrcoef(_mean_ranks(first), _mean_ranks(second))[0, 1])


def _mean_ranks(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
