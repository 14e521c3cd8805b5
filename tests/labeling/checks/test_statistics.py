"""Control limits against tables and by hand, and weeks that leave them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from labeling.checks.agreeing import Said, agreed_by_all, compare, gold_of, score
from labeling.checks.statistics import (
    Usual,
    UsualShift,
    chart,
    dips_of,
    limits,
    shift_chart,
    usual_of,
    usual_shift_of_sums,
)

MONDAY = date(2026, 6, 1)
TEAM = Usual(0.8, 1.0)


def weeks_of(*shares: float, checks: int = 10, pairs: int = 10) -> list[tuple[date, int, int]]:
    return [
        (MONDAY + timedelta(weeks=week), round(share * pairs), pairs)
        for week, share in enumerate(shares)
        for _ in range(checks)
    ]


def test_limits_are_the_binomial_ones():
    # P(X <= 3 | 10, 0.8) = 0.000864 and P(X <= 4) = 0.00637: four of ten is the least that is not rarer than 0.00135.
    assert limits(0.8, 10) == (0.4, 1.0)
    # P(X <= 17 | 50, .5) = 0.0164, P(X <= 13) = 0.00047, P(X <= 14) = 0.0013, P(X <= 15) = 0.0033; both sides alike.
    assert limits(0.5, 50) == (15 / 50, 35 / 50)


def test_more_pairs_make_narrower_limits_and_pairs_that_go_together_wider_ones():
    assert limits(0.8, 100)[0] > limits(0.8, 20)[0]
    apart = usual_of([(8, 10)] * 20)
    together = usual_of([(10, 10)] * 16 + [(0, 10)] * 4)
    assert apart.inflation == 1
    # All ten pairs of a task right or all wrong: they count as one.
    assert together.inflation == pytest.approx(10, rel=0.05)


def test_a_week_below_its_limit_is_out_of_control_and_the_usual_stays_what_it_was():
    weeks = chart(weeks_of(*[0.9] * 3, 0.5, *[0.9] * 6), team=TEAM, level=0)
    assert [week.reasons for week in weeks][:4] == [(), (), (), ("limit",)]
    assert weeks[3].rate == 0.5 < weeks[3].limit
    # The team's until three of their weeks are long enough ago. The dip is no part of what is usual.
    assert [week.own for week in weeks] == [False] * 7 + [True] * 3
    assert weeks[-1].usual == pytest.approx(0.9, abs=0.005)


def test_a_small_drift_that_no_week_shows_is_seen_by_the_average():
    weeks = chart(weeks_of(*[0.8] * 3, *[0.7] * 8), team=TEAM, level=0)
    found = [week.reasons for week in weeks]
    assert all("limit" not in reasons for reasons in found)
    assert found[3:6] == [(), (), ("drift",)]


def test_below_the_level_asked_for_is_out_of_control_whatever_is_usual():
    weeks = chart(weeks_of(0.5, 0.5), team=Usual(0.5, 1.0), level=0.6)
    assert [week.reasons for week in weeks] == [("level",), ("level",)]
    assert len(dips_of(weeks)) == 1


def ratings_of(*means: float, checks: int = 10) -> list[tuple[date, int, int, float]]:
    """One rating a check, with these mean differences by week, a point to either side of it in turn."""
    return [
        (MONDAY + timedelta(weeks=week), 1, 1, mean + (1 if check % 2 else -1))
        for week, mean in enumerate(means)
        for check in range(checks)
    ]


def test_leniency_has_the_limits_of_a_mean_on_either_side():
    # Three standard errors of ten checks with a deviation of one point: 3 / sqrt(10).
    weeks = shift_chart(ratings_of(0.0, 1.0, -1.0, 0.5), team=UsualShift(0.0, 1.0))
    # One week of 3.2 standard errors moves the average by 0.63, less than the 0.73 of the second week's limit.
    assert [week.reasons for week in weeks] == [(), ("limit",), ("limit",), ()]
    assert weeks[0].upper == pytest.approx(3 / 10**0.5) == pytest.approx(-weeks[0].limit)
    assert [week.shift for week in weeks] == pytest.approx([0.0, 1.0, -1.0, 0.5])


def test_a_small_drift_of_ratings_is_seen_on_either_side():
    for sign in (1, -1):
        # 2.2 standard errors a week: the average has 0.44, 0.80 and 1.08 of them, its limit is 0.87, 0.90 and 0.92.
        weeks = shift_chart(ratings_of(*[0.0] * 3, *[0.7 * sign] * 3), team=UsualShift(0.0, 1.0))
        assert [week.reasons for week in weeks] == [(), (), (), (), (), ("drift",)]


def test_usual_leniency_is_a_mean_and_a_deviation_and_never_without_limits():
    assert usual_shift_of_sums(4, 4.0, 4.0) == UsualShift(1.0, 0.5)  # four times 1: only the point that is added
    # 0, 0, 2, 2: mean 1, squares about it 4; with the one added 5 of 4.
    assert usual_shift_of_sums(4, 4.0, 8.0) == UsualShift(1.0, 1.25**0.5)


def test_ratings_agree_within_the_tolerance_of_one_of_the_researchers():
    gold = gold_of([Said(ratings={"a": 3, "b": 1}), Said(ratings={"a": 4, "b": 6})], tolerance=1)
    assert gold.ratings == {"a": [3, 4]}
    for rating, agreed, shift in ((2, 1, -1.5), (5, 1, 1.5), (6, 0, 2.5), (1, 0, -2.5)):
        found = score(Said(ratings={"a": rating, "b": 1}), gold, tolerance=1)
        assert (found.ratings_agreed, found.ratings_compared, found.shift) == (agreed, 1, shift)
    assert score(Said(), gold, tolerance=1).ratings_compared == 0


def test_flags_count_where_all_were_asked_and_said_the_same():
    answers = [Said(flags={"a": {"x": True, "y": False, "z": True}}), Said(flags={"a": {"x": True, "y": True}})]
    gold = gold_of(answers, tolerance=0)
    assert gold.flags == {"a": {"x": True}}
    assert score(Said(flags={"a": {"x": False, "y": True}}), gold, tolerance=0).flags_agreed == 0
    assert score(Said(flags={"a": {"y": True}}), gold, tolerance=0).flags_compared == 0


def test_few_checks_are_not_judged():
    (week,) = chart(weeks_of(0.0, checks=4), team=TEAM, level=0.6)
    assert (week.limit, week.reasons) == (None, ())


def test_dips_are_runs_and_a_week_that_is_not_judged_ends_none():
    checks = [*weeks_of(0.8, 0.8, 0.3, 0.3)]
    later = MONDAY + timedelta(weeks=4)
    checks += [(later, 10, 10)] * 2 + [(later + timedelta(weeks=1), 3, 10)] * 10
    (dip,) = dips_of(chart(checks, team=TEAM, level=0))
    assert [week.week for week in dip.weeks] == [MONDAY + timedelta(weeks=week) for week in (2, 3, 5)]


def test_always_right_has_limits_too():
    usual = usual_of([(6, 6)] * 10)
    assert 0.98 < usual.rate < 1
    low, high = limits(usual.rate, 60)
    assert 0.9 < low < high == 1


def test_researchers_who_differ_leave_a_pair_out_and_ties_are_no_order():
    one, two = {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "c": 2}
    assert agreed_by_all([one, two]) == {("a", "b"), ("a", "c")}
    assert agreed_by_all([one, {"a": 1, "b": 1, "c": None}]) == set()
    gold = agreed_by_all([one])
    assert compare({"a": 3, "b": 2, "c": 2}, gold) == (0, 2)
    assert compare({"a": 1, "b": 2, "c": 2}, gold) == (2, 2)
    assert compare({"a": None, "b": 2, "c": 1}, gold) == (0, 1)
