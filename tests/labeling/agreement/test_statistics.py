"""Numbers worked out by hand, and a slow reference on real rankings."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.agreement.statistics import Counts, Tally, count_task
from labeling.intervals import clustered_interval

NAN = math.nan


def brute_force(ranks) -> Counts:
    """Each pair of labelers over each pair of completions, one by one."""
    agree = pairs = half_pairs = 0
    half_agree = 0.0
    for first, second in combinations(ranks, 2):
        for i, j in combinations(range(len(first)), 2):
            values = (first[i], first[j], second[i], second[j])
            if any(math.isnan(value) for value in values):
                continue
            one, two = np.sign(first[i] - first[j]), np.sign(second[i] - second[j])
            half_pairs += 1
            if one == two:
                half_agree += 1
            elif 0 in (one, two):
                half_agree += 0.5
            if one and two:
                pairs += 1
                agree += one == two
    return Counts(int(agree), pairs, half_agree, half_pairs)


def test_two_labelers_by_hand():
    # a before b before c; the other: a first, then c before b. They part on b and c alone.
    assert count_task(np.array([[1, 2, 3], [1, 3, 2]])) == Counts(2, 3, 2.0, 3)


def test_tie_is_left_out_or_half():
    # The second ties a with b: of 3 pairs one has a tie, and both agree on the other two.
    assert count_task(np.array([[1, 2, 3], [1, 1, 2]])) == Counts(2, 2, 2.5, 3)


def test_two_ties_agree_only_where_ties_count():
    assert count_task(np.array([[1, 1], [1, 1]])) == Counts(0, 0, 1.0, 1)


def test_three_labelers_by_hand():
    # Over one pair: two say a, one says b. Three pairs of labelers, one of which agrees.
    assert count_task(np.array([[1, 2], [1, 2], [2, 1]])) == Counts(1, 3, 1.0, 3)


def test_completion_without_a_rank_is_no_pair():
    assert count_task(np.array([[1, 2, NAN], [1, 2, 3]])) == Counts(1, 1, 1.0, 1)


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.lists(
            st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0, NAN]), min_size=k, max_size=k), min_size=1, max_size=5
        )
    )
)
def test_counts_are_those_of_brute_force(ranks):
    assert count_task(np.array(ranks)) == brute_force(ranks)


def test_real_rankings_agree_with_brute_force(shared_data):
    """Three people ranked three summaries of each story's question."""
    tally, slow = Tally(), Counts()
    for line in (shared_data / "multi_rankings_squality.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        systems = sorted(row["completions"])
        ranks = [[labeler["ranks"][system] for system in systems] for labeler in row["rankings"]]
        tally.add_prompt([np.array(ranks, float)])
        slow += brute_force(ranks)
    found = tally.pairwise()
    assert (found.agree, found.pairs) == (slow.agree, slow.pairs)
    assert tally.ties_half().agree == slow.half_agree
    low, high = found.ci95
    assert low < found.rate < high
    assert 0.05 < high - low < 0.3, "60 stories leave a wide interval"


def test_nothing_to_compare_has_no_rate():
    tally = Tally()
    tally.add_prompt([np.array([[1.0, 2.0]])])
    assert tally.pairwise().as_json() == {"agree": 0, "pairs": 0, "rate": None, "ci95": [None, None]}


def test_interval_draws_whole_prompts():
    """Ten prompts whose 100 pairs all agree or all differ: the interval is that of 10 answers, not of 1,000."""
    sums, counts = np.array([100] * 5 + [0] * 5), np.full(10, 100)
    low, high = clustered_interval(sums, counts)
    assert low == pytest.approx(0.2, abs=0.11)
    assert high == pytest.approx(0.8, abs=0.11)


def test_interval_of_independent_answers_is_the_binomial_one():
    sums = np.array([1] * 700 + [0] * 300)
    low, high = clustered_interval(sums, np.ones(1000))
    error = 1.96 * math.sqrt(0.7 * 0.3 / 1000)
    assert low == pytest.approx(0.7 - error, abs=0.004)
    assert high == pytest.approx(0.7 + error, abs=0.004)


def test_one_prompt_says_nothing_about_another():
    assert clustered_interval(np.array([3]), np.array([4])) is None
    assert clustered_interval(np.array([3, 0]), np.array([4, 0])) is None
