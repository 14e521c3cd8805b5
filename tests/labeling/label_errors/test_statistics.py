"""What speaks against an answer, by hand and by a slow reference; intervals of what is found."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from labeling.label_errors.statistics import compare, evidence, share_interval, sigmoid, suspicion

NONE = np.nan


def test_one_pair_by_hand():
    """One says first, one says second; the model is sure of the first by ln 3, which is three to one."""
    found = evidence(np.array([[[1, 2], [2, 1]]]), np.array([[log(3), 0.0]]))
    assert found.opposite.tolist() == [[pytest.approx(0.25), pytest.approx(0.75)]]
    assert found.compared.tolist() == [[1, 1]]
    assert found.contradicted.tolist() == [[1, 1]]
    # ln((0.25 + 1) / (0.75 + 1)) + ln((1 + 1) / (0 + 1))
    assert suspicion(found)[0] == pytest.approx([log(1.25 / 1.75) + log(2), log(1.75 / 1.25) + log(2)])


def test_a_bias_of_the_model_changes_nothing():
    ranks, scores = np.array([[[1, 3, 2], [1, 2, 2]]]), np.array([[0.3, -1.0, 2.0]])
    there, shifted = evidence(ranks, scores), evidence(ranks, scores + 7.5)
    assert suspicion(there) == pytest.approx(suspicion(shifted))


def test_ties_say_nothing_on_either_side():
    found = evidence(np.array([[[1, 1, 2], [2, 1, 3], [1, 2, 2]]]), np.full((1, 3), NONE))
    assert found.pairs.tolist() == [[2, 3, 2]]
    # Pairs (0,1), (0,2), (1,2): = < <, > < <, < < =.
    assert found.compared.tolist() == [[3, 4, 3]]
    assert found.contradicted.tolist() == [[0, 1, 1]]


def test_nothing_known_is_no_suspicion_and_no_fault():
    alone = evidence(np.array([[[1, 2, 3]]]), np.full((1, 3), NONE))
    assert suspicion(alone).tolist() == [[0.0]]
    assert (alone.modelled.tolist(), alone.compared.tolist()) == ([[0]], [[0]])
    tied = evidence(np.array([[[1, 1], [1, 1]]]), np.zeros((1, 2)))
    assert tied.pairs.tolist() == [[0, 0]]


def test_completions_without_rank_or_score_are_left_out():
    found = evidence(np.array([[[1, 0, 2], [1, 2, 3]]]), np.array([[0.0, NONE, 5.0]]))
    assert found.pairs.tolist() == [[1, 3]]
    assert found.modelled.tolist() == [[1, 1]]
    assert found.compared.tolist() == [[1, 1]]


def test_agrees_with_a_slow_reference():
    rng = np.random.default_rng(4)
    ranks = rng.integers(0, 5, (6, 4, 5))
    scores = np.where(rng.random((6, 5)) < 0.2, NONE, rng.normal(size=(6, 5)) * 3)
    found = evidence(ranks, scores)
    for task in range(6):
        for one in range(4):
            opposite = modelled = compared = contradicted = pairs = 0
            for a in range(5):
                for b in range(5):
                    mine = ranks[task, one]
                    if not (mine[a] and mine[b] and mine[a] < mine[b]):
                        continue  # a is put before b
                    pairs += 1
                    gap = scores[task, b] - scores[task, a]
                    if not np.isnan(gap):
                        modelled, opposite = modelled + 1, opposite + 1 / (1 + exp(-gap))
                    for other in set(range(4)) - {one}:
                        theirs = ranks[task, other]
                        if theirs[a] and theirs[b] and theirs[a] != theirs[b]:
                            compared, contradicted = compared + 1, contradicted + (theirs[b] < theirs[a])
            at = (task, one)
            assert (found.pairs[at], found.modelled[at]) == (pairs, modelled)
            assert (found.compared[at], found.contradicted[at]) == (compared, contradicted)
            assert found.opposite[at] == pytest.approx(opposite)


def test_the_pair_that_most_speaks_against_is_the_reversed_one():
    found = evidence(np.array([[[1, 2, 3, 4], [1, 2, 3, 4], [2, 1, 3, 4]]]), np.array([[9.0, 8, 1, 0]]))
    worst = found.doubt[0, 2].argmax()
    assert (found.first[worst], found.second[worst]) == (0, 1)


def test_sigmoid_takes_any_number():
    assert sigmoid(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]


def test_share_of_none_or_all_has_an_exact_interval():
    looked = np.ones(20)
    assert share_interval(np.zeros(20), looked) == (0.0, pytest.approx(0.1684, abs=1e-4))  # Clopper and Pearson
    assert share_interval(looked, looked) == (pytest.approx(0.8316, abs=1e-4), 1.0)
    assert share_interval(np.zeros(1), np.ones(1)) is None
    low, high = share_interval(np.repeat([1.0, 0.0], [5, 15]), looked)
    assert 0.05 <= low < 0.25 < high < 0.5


def test_arms_are_compared_with_what_they_share():
    counts = np.array([[1.0, 1, 0, 0]] * 30 + [[0, 1, 0, 0]] * 10 + [[0, 0, 1, 1]] * 5 + [[0, 0, 0, 1]] * 35)
    found = compare(counts)
    assert found.difference == pytest.approx(0.75 - 0.125)
    assert found.ratio == pytest.approx(6)
    assert found.difference_ci95[0] < 0.625 < found.difference_ci95[1]
    assert 2 < found.ratio_ci95[0] < 6 < found.ratio_ci95[1]
    same = compare(np.array([[1.0, 1, 1, 1], [0, 1, 0, 1]] * 10))
    assert (same.difference, same.difference_ci95, same.ratio_ci95) == (0, (0, 0), (1, 1))


def test_a_ratio_to_nothing_is_none():
    found = compare(np.array([[1.0, 1, 0, 1]] * 10))
    assert (found.difference, found.ratio, found.ratio_ci95) == (1, None, None)
    assert compare(np.array([[1.0, 1, 0, 0]])).difference is None
    rare = compare(np.array([[1.0, 1, 0, 1]] * 30 + [[0, 0, 1, 1]]))
    assert rare.ratio == pytest.approx(31)
    assert rare.ratio_ci95[1] is None, "some draws have none in the second arm"
