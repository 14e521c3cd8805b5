"""One order out of several: by hand, and against slow ways that share no code."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from labeling.adjudication import consensus


def ranks(*rows: str) -> np.ndarray:
    """ "1 2 2" is the ranks of three completions."""
    return np.array([[int(rank) for rank in row.split()] for row in rows])


@pytest.mark.parametrize(
    ("rows", "expected", "by"),
    [
        (["1 2 3"], [1, 2, 3], "mode"),
        (["1 2 3", "1 2 3", "3 2 1"], [1, 2, 3], "mode"),
        # The same order whatever the numbers.
        (["1 4 9", "1 2 3", "3 2 1"], [1, 2, 3], "mode"),
        (["1 1 2", "1 1 3", "3 2 1"], [1, 1, 2], "mode"),
        # Each once: a-b, a-c and b-c have two of three each.
        (["1 2 3", "2 1 3", "1 3 2"], [1, 2, 3], "majority"),
        # Condorcet's circle.
        (["1 2 3", "3 1 2", "2 3 1"], None, "circle"),
        # Two who differ have a majority for nothing: a tie.
        (["1 2", "2 1"], [1, 1], "majority"),
        # Two modes are none.
        (["1 2", "1 2", "2 1", "2 1"], [1, 1], "majority"),
        # One for, one against, one tie: no half for either.
        (["1 2", "2 1", "1 1"], [1, 1], "majority"),
        # a-b is tied, b-c is tied, a before c: no order.
        (["1 1 2", "1 2 2"], None, "circle"),
    ],
)
def test_modal_by_hand(rows, expected, by):
    order = consensus.modal(ranks(*rows))
    assert order.by == by
    assert (order.ranks is None) if expected is None else order.ranks.tolist() == expected


def test_majority_counts_all_answers_in_the_half():
    # Two of four for a; one ties, one has not ranked b.
    assert consensus.majority(np.array([[1, 2], [1, 2], [1, 1], [1, 0]])).tolist() == [[0, 0], [0, 0]]
    assert consensus.majority(np.array([[1, 2], [1, 2], [1, 1]])).tolist() == [[0, 1], [-1, 0]]


def test_modal_against_counting_one_by_one():
    draw = random.Random(1)
    for _ in range(300):
        size = draw.randint(2, 5)
        rows = [[draw.randint(1, 3) for _ in range(size)] for _ in range(draw.randint(1, 5))]
        found = consensus.modal(np.array(rows))
        # An order as the set of what stands before what.
        orders = Counter(frozenset((i, j) for i in range(size) for j in range(size) if r[i] < r[j]) for r in rows)
        (best, most), *others = orders.most_common()
        unique = not others or others[0][1] < most
        if unique and (most > 1 or len(rows) == 1):
            expected = best
        else:
            expected = {
                (i, j) for i in range(size) for j in range(size) if sum(r[i] < r[j] for r in rows) > len(rows) / 2
            }
            if not is_order(expected, size):
                assert found.ranks is None
                continue
        got = {(i, j) for i in range(size) for j in range(size) if found.ranks[i] < found.ranks[j]}
        assert got == set(expected)


def is_order(before: set, size: int) -> bool:
    """Whether this is a ranking with ties: what is before something is before all that is not before that."""
    return all(
        (i, k) in before or (k, j) in before for i, j in before for k in range(size) if k not in (i, j)
    ) and not any((j, i) in before for i, j in before)


def log_likelihood(strengths: list[float], wins: np.ndarray) -> float:
    return sum(
        wins[i, j] * (strengths[i] - math.log(math.exp(strengths[i]) + math.exp(strengths[j])))
        for i in range(len(wins))
        for j in range(len(wins))
        if i != j
    )


def test_two_completions_have_the_odds_of_their_wins():
    # 2 wins to 1, and a tenth of a tie: 2.05 to 1.05.
    order = consensus.bradley_terry(ranks("1 2", "1 2", "2 1"))
    assert order.strengths[0] - order.strengths[1] == pytest.approx(math.log(2.05 / 1.05))
    assert order.ranks.tolist() == [1, 2]


def test_ties_count_half_for_either():
    assert consensus.wins_of(ranks("1 1", "1 2")).tolist() == [[0, 1.5], [0.5, 0]]
    assert consensus.bradley_terry(ranks("1 1 2", "1 1 2")).ranks.tolist() == [1, 1, 2]


def test_circle_is_a_tie_of_all():
    order = consensus.bradley_terry(ranks("1 2 3", "3 1 2", "2 3 1"))
    assert order.ranks.tolist() == [1, 1, 1] and np.allclose(order.strengths, 0)


def test_one_who_always_wins_has_a_strength():
    order = consensus.bradley_terry(ranks(*["1 2 3 4"] * 3))
    assert np.isfinite(order.strengths).all() and order.ranks.tolist() == [1, 2, 3, 4]
    assert order.strengths.mean() == pytest.approx(0)


def test_weights_count_answers_more_or_less():
    rows = ranks("1 2", "2 1")
    assert consensus.bradley_terry(rows, [3, 1]).ranks.tolist() == [1, 2]
    assert consensus.wins_of(rows, [3, 1]).tolist() == [[0, 3], [1, 0]]
    assert consensus.bradley_terry(rows, [0, 1]).ranks.tolist() == [2, 1]
    for wrong in ([1], [1, -1], [1, math.nan]):
        with pytest.raises(ValueError):
            consensus.wins_of(rows, wrong)


def test_strengths_against_climbing_the_likelihood():
    draw = np.random.default_rng(2)
    for size, answers in ((3, 3), (4, 2), (5, 4)):
        given = draw.integers(1, size + 1, (answers, size))
        wins = consensus.wins_of(given) + consensus.PRIOR / 2 * (1 - np.eye(size))
        slow = [0.0] * size
        # Coordinate by coordinate, in ever smaller steps.
        step = 1.0
        while step > 1e-7:
            moved = False
            for i in range(size):
                for change in (step, -step):
                    tried = [s + change * (n == i) for n, s in enumerate(slow)]
                    if log_likelihood(tried, wins) > log_likelihood(slow, wins):
                        slow, moved = tried, True
            step = step if moved else step / 2
        mean = sum(slow) / size
        found = consensus.strengths_of(consensus.wins_of(given)[None])[0]
        assert found == pytest.approx([s - mean for s in slow], abs=1e-4)


def test_strengths_are_found_again_from_many_comparisons():
    draw = np.random.default_rng(4)
    true = np.array([1.0, 0.3, -0.2, -1.1])
    noise = draw.gumbel(size=(20_000, 4))
    given = np.argsort(np.argsort(-(true + noise), axis=1), axis=1) + 1
    assert consensus.bradley_terry(given).strengths == pytest.approx(true - true.mean(), abs=0.05)


def test_many_tasks_at_once_are_each_alone():
    draw = np.random.default_rng(5)
    given = [draw.integers(1, 5, (3, 4)) for _ in range(20)]
    together = consensus.strengths_of(np.stack([consensus.wins_of(each) for each in given]))
    for each, strengths in zip(given, together, strict=True):
        assert consensus.bradley_terry(each).strengths == pytest.approx(strengths, abs=1e-8)


def test_agreement_against_counting_one_by_one():
    draw = random.Random(6)
    assert consensus.agreement_of(ranks("1 2 3", "2 1 3")) == pytest.approx(2 / 3)
    assert consensus.agreement_of(ranks("1 2 3")) is None
    for _ in range(100):
        given = np.array([[draw.randint(0, 3) for _ in range(4)] for _ in range(3)])
        alike = apart = 0
        for one, two in combinations(given.tolist(), 2):
            for i, j in combinations(range(4), 2):
                if min(one[i], one[j], two[i], two[j]) > 0:
                    product = (one[i] - one[j]) * (two[i] - two[j])
                    alike, apart = alike + (product > 0), apart + (product < 0)
        expected = alike / (alike + apart) if alike + apart else None
        assert consensus.agreement_of(given) == (expected if expected is None else pytest.approx(expected))
