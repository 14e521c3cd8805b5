from __future__ import annotations

import math

import numpy as np
import pytest

from labeling.governance.estimating import Share, ratio_interval, recall, wilson


def test_wilson_is_as_published():
    # Newcombe 1998, table I, method 3: 81 of 263 and 0 of 20.
    share = wilson(81, 263)
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    none = wilson(0, 20)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)
    assert wilson(0, 0) == Share(None, None, None, 0, 0)


def test_recall_by_hand():
    # Of 1000 found 90 % are real: 900. Of 9000 passed 1 % are missed: 90. 900 / 990.
    share = recall(real=wilson(90, 100), missed=wilson(2, 200), found=1000, passed=9000)
    assert share.value == pytest.approx(900 / 990)
    assert 0 < share.low < share.value < share.high < 1


def test_recall_where_nothing_was_missed_is_one_with_a_lower_bound():
    share = recall(real=wilson(50, 50), missed=wilson(0, 200), found=500, passed=9500)
    assert (share.value, share.high) == (1.0, 1.0)
    # At most 1.9 % of 9500 were missed, 179 beside 500.
    assert 0.70 < share.low < 0.76


def test_recall_is_unknown_without_either_side():
    nothing = wilson(0, 0)
    assert recall(real=nothing, missed=wilson(1, 10), found=5, passed=5).value is None
    assert recall(real=wilson(1, 10), missed=nothing, found=5, passed=5).value is None
    assert recall(real=wilson(1, 10), missed=wilson(1, 10), found=0, passed=5).value is None


def test_recall_where_nothing_found_was_real_is_nothing():
    share = recall(real=wilson(0, 10), missed=wilson(5, 10), found=10, passed=100)
    assert (share.value, share.low) == (0.0, 0.0) and 0 < share.high < 0.2


def test_a_ratio_has_its_interval_on_both_sides():
    low, high = ratio_interval(wilson(30, 100), wilson(60, 100))
    assert low < 0.5 < high
    # Katz's log interval of the same ratio, which is close for such numbers.
    spread = 1.96 * math.sqrt(0.7 / 30 + 0.4 / 60)
    assert low == pytest.approx(0.5 * math.exp(-spread), rel=0.06)
    assert high == pytest.approx(0.5 * math.exp(spread), rel=0.06)


@pytest.mark.parametrize(("precision", "missed", "decided", "judged"), [(0.9, 0.01, 200, 300), (0.6, 0.05, 80, 100)])
def test_the_interval_of_recall_holds_the_truth_as_often_as_it_says(precision, missed, decided, judged):
    found, passed = 600, 9400
    truth = found * precision / (found * precision + passed * missed)
    rng = np.random.default_rng(7)
    real, gone = rng.binomial(decided, precision, 2000), rng.binomial(judged, missed, 2000)
    hits = 0
    for k, m in zip(real, gone, strict=True):
        share = recall(real=wilson(int(k), decided), missed=wilson(int(m), judged), found=found, passed=passed)
        hits += share.low <= truth <= share.high
    assert 0.93 < hits / 2000 < 0.985
