"""How far apart answers are, by hand."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from labeling.adjudication.disagreement import Opinion, disagreement_of


def ranked(*ranks: int) -> Opinion:
    return Opinion("ranked", {"abcdefgh"[place]: rank for place, rank in enumerate(ranks)})


ALL_BAD, CANNOT = Opinion("all_bad", {}), Opinion("cannot_rank", {})


@pytest.mark.parametrize(
    ("opinions", "expected"),
    [
        ([], None),
        ([ranked(1, 2)], None),
        ([ranked(1, 2), ranked(1, 2)], 0.0),
        ([ranked(1, 2), ranked(2, 1)], 1.0),
        # One outlier of three: 0, 1, 1.
        ([ranked(1, 2), ranked(1, 2), ranked(2, 1)], 2 / 3),
        # a-b is turned, a-c and b-c are not.
        ([ranked(1, 2, 3), ranked(2, 1, 3)], 1 / 3),
        # Ties are left out: of a-b, a-c, b-c the first ties b-c and the second a-b; a-c is turned.
        ([ranked(1, 2, 2), ranked(2, 2, 1)], 1.0),
        # Who ties all is compared with nobody.
        ([ranked(1, 1, 1), ranked(1, 2, 3)], None),
        ([ranked(1, 1, 1), ranked(1, 2, 3), ranked(3, 2, 1)], 1.0),
        # Ranks need not be dense.
        ([ranked(1, 5, 9), ranked(1, 2, 3)], 0.0),
        ([ALL_BAD, ranked(1, 2)], 1.0),
        ([CANNOT, ranked(1, 2)], 1.0),
        ([CANNOT, ALL_BAD], 1.0),
        ([ALL_BAD, ALL_BAD], 0.0),
        # 0 of two who agree, 1 each with the third.
        ([ranked(1, 2), ranked(1, 2), ALL_BAD], 2 / 3),
        # Only what both ranked: c is in one answer alone.
        ([Opinion("ranked", {"a": 1, "b": 2, "c": 3}), Opinion("ranked", {"b": 1, "a": 2})], 1.0),
        ([Opinion("ranked", {"a": 1}), Opinion("ranked", {"a": 1})], None),
    ],
)
def test_by_hand(opinions, expected):
    assert disagreement_of(opinions)[0] == (expected if expected is None else pytest.approx(expected))


def test_pairs_say_what_they_rest_on():
    _mean, (pair,) = disagreement_of([ranked(1, 2, 3), ranked(2, 1, 3)])
    assert pair.as_json() == {"first": 0, "second": 1, "apart": 1, "compared": 3, "disagreement": pytest.approx(1 / 3)}


def test_against_counting_one_by_one():
    draw = random.Random(3)
    for _ in range(200):
        size = draw.randint(2, 6)
        opinions = [ranked(*(draw.randint(1, size) for _ in range(size))) for _ in range(draw.randint(2, 5))]
        shares = []
        for one, two in combinations(opinions, 2):
            signs = [
                ((one.ranks[a] > one.ranks[b]) - (one.ranks[a] < one.ranks[b]))
                * ((two.ranks[a] > two.ranks[b]) - (two.ranks[a] < two.ranks[b]))
                for a, b in combinations(one.ranks, 2)
            ]
            if any(signs):
                shares.append(signs.count(-1) / (signs.count(-1) + signs.count(1)))
        expected = sum(shares) / len(shares) if shares else None
        assert disagreement_of(opinions)[0] == (expected if expected is None else pytest.approx(expected))
