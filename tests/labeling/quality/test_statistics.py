"""Numbers worked out by hand or taken from tables, and a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from labeling.quality import statistics as stats
from labeling.quality.statistics import Choices, Estimate, Team


def choices(first, x, wins=0.0, seen=0.0, clusters=None) -> Choices:
    count = len(first)
    return Choices(
        np.array(first, float),
        np.array(x, float).reshape(count, -1),
        np.full(count, wins) if np.isscalar(wins) else np.array(wins, float),
        np.full(count, seen) if np.isscalar(seen) else np.array(seen, float),
        np.arange(count) if clusters is None else np.array(clusters),
    )


@pytest.mark.parametrize(
    ("probability", "freedom", "table"),
    [(0.975, 10, 2.228), (0.975, 30, 2.042), (0.95, 20, 1.725), (0.975, 1e9, 1.960)],
)
def test_quantiles_are_those_of_the_table(probability, freedom, table):
    assert stats.t_quantile(probability, freedom) == pytest.approx(table, abs=0.002)


def test_p_values_are_those_of_the_table():
    assert stats.p_value(2.086, 20) == pytest.approx(0.05, abs=0.001)
    assert stats.p_value(-1.96, 1e9) == pytest.approx(0.05, abs=0.0005)
    assert stats.p_value(0, 5) == 1


def test_benjamini_hochbergs_own_example():
    """Their section 4.1: 15 hypotheses of a trial, four of them rejected at 0.05, where Bonferroni rejects three."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert stats.benjamini_hochberg(p).tolist() == [True] * 4 + [False] * 11
    assert stats.benjamini_hochberg(p[::-1]).tolist() == [False] * 11 + [True] * 4
    assert stats.benjamini_hochberg([]).tolist() == []


def test_share_by_hand():
    # Prompts a: 3 of 4, b: 1 of 2, c: 0 of 2. 4 of 8; residuals 1, 0, −1; error √(3/2 · 2) / 8.
    found = stats.share(np.array([2, 1, 1, 0.0]), np.array([2, 2, 2, 2.0]), np.array([5, 5, 7, 9]))
    assert (found.value, found.clusters) == (0.5, 3)
    assert found.error == pytest.approx(math.sqrt(1.5 * 2) / 8)
    assert stats.share(np.array([1.0]), np.array([1.0]), np.array([1])) is None


def test_deviation_by_hand():
    # 1 and 5 in turn: mean 3, deviation 2, and no answer moves it.
    found = stats.deviation(np.array([1.0, 5] * 4), np.arange(8))
    assert found.value == 2
    assert found.error == pytest.approx(0)
    wide = stats.deviation(np.array([1.0, 3, 3, 3, 3, 3, 3, 5]), np.arange(8))
    assert wide.value == 1
    assert wide.error > 0.3


def test_spearman_by_hand():
    # Ranks 1 2 3 4 5 against 2 1 4 3 5: 1 − 6 · 4 / (5 · 24).
    assert stats.spearman(np.array([10, 20, 30, 40, 50]), np.array([2, 1, 4, 3, 9])) == pytest.approx(0.8)


def test_a_mere_share_is_its_logit():
    """Seven of ten with nothing else known: log 7/3, and the error of a proportion, 1/√(n p q)."""
    known_nothing = Team(0.0, np.zeros(0), np.zeros((0, 0)), 0, known=False)
    fit = stats.fit_choices(choices([1] * 70 + [0] * 30, [1] * 100), known_nothing, [])
    found = fit.estimate(np.array([1.0]))
    assert found.value == pytest.approx(math.log(7 / 3), abs=0.01)
    assert found.error == pytest.approx(1 / math.sqrt(100 * 0.7 * 0.3), abs=0.005)
    # Written the other way round it is the same.
    turned = stats.fit_choices(choices([0] * 70 + [1] * 30, [-1] * 100), known_nothing, [])
    assert turned.effects[0] == pytest.approx(fit.effects[0])


def test_answers_to_one_prompt_are_one():
    """A hundred answers of ten prompts that go one way or the other: an error √10 times as large."""
    known_nothing = Team(0.0, np.zeros(0), np.zeros((0, 0)), 0, known=False)
    rows = [1] * 70 + [0] * 30
    alone = stats.fit_choices(choices(rows, [1] * 100), known_nothing, [])
    together = stats.fit_choices(choices(rows, [1] * 100, clusters=np.repeat(np.arange(10), 10)), known_nothing, [])
    ratio = math.sqrt(together.covariance[0, 0] / alone.covariance[0, 0])
    assert ratio == pytest.approx(math.sqrt(10 * (10 / 9) / (100 / 99)), rel=0.001)


def test_a_feature_that_never_differs_has_no_effect():
    known_nothing = Team(0.0, np.zeros(0), np.zeros((0, 0)), 0, known=False)
    fit = stats.fit_choices(choices([1, 0, 1, 0], [[1, 0]] * 4), known_nothing, [])
    assert np.isnan(fit.effects[1])
    assert np.isfinite(fit.effects[0])


def test_quality_after_colleagues_spoke_is_bayes():
    """Against an integral over a grid of ten thousand steps: two of three colleagues prefer the first."""
    team = Team(1.3, np.array([0.4]), np.zeros((1, 1)), 0, known=True)
    delta, likely = stats._qualities(choices([1], [2.0], wins=2, seen=3), team, [0])
    grid = np.linspace(-15, 15, 10_001)
    weight = np.exp(-0.5 * ((grid - 0.8) / 1.3) ** 2) / (1 + np.exp(-grid)) ** 2 / (1 + np.exp(grid))
    assert (delta * likely).sum() == pytest.approx((grid * weight).sum() / weight.sum(), abs=0.003)


def test_team_finds_spread_and_what_quality_goes_with():
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, 6000)
    delta = 0.5 * x + rng.normal(0, 1.2, 6000)
    wins = rng.binomial(4, 1 / (1 + np.exp(-delta))).astype(float)
    team = stats.fit_team(choices(wins, x, wins=wins, seen=4.0), [0])
    assert team.spread == pytest.approx(1.2, abs=0.06)
    assert team.features[0] == pytest.approx(0.5, abs=4 * math.sqrt(team.covariance[0, 0]))
    assert math.sqrt(team.covariance[0, 0]) < 0.03


def test_without_two_opinions_nothing_is_known_of_quality():
    team = stats.fit_team(choices([1, 0, 1, 1] * 10, [1, 1, -1, 1] * 10, wins=[1, 0, 1, 1] * 10, seen=1.0), [0])
    assert (team.known, team.spread) == (False, 0.0)


def test_difference_and_mean_by_hand():
    found = stats.difference(Estimate(0.7, 0.03, 50), Estimate(0.6, 0.04, 500))
    assert (found.value, found.error) == (pytest.approx(0.1), pytest.approx(0.05))
    mean = stats.pooled([Estimate(1, 0.3, 5), Estimate(3, 0.4, 5)], [1, 1])
    assert (mean.value, mean.error) == (2, pytest.approx(0.25))


def test_robust_z_is_not_moved_by_the_outlier():
    z = stats.robust_z(np.array([1.0, 2, 3, 4, 1000]), least=0.1)
    assert z[2] == 0
    assert z[3] == pytest.approx(1 / 1.4826)
    assert z[4] > 600
