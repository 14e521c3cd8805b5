"""Control limits against tables and by hand, and weeks that leave them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from labeling.checks.agreeing import agreed_by_all, compare
from labeling.checks.statistics import Usual, chart, dips_of, limits, usual_of

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
