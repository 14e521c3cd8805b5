"""The rule of simulated labelers, by hand."""

from itertools import combinations

import pytest

from labeling.simulation.utility import TIE, judge, noisy, utility

FIFTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def test_utility_by_hand():
    assert utility("") == -3
    assert utility(FIFTEEN) == pytest.approx(1.0)
    assert utility(FIFTEEN + ".") == pytest.approx(1.5)
    assert utility(FIFTEEN + ".", "What are seven and elephants?") == pytest.approx(
        1.5 + 0.5 / 3
    )  # what, seven, elephants
    # Six words: −1 + 2 · 6/12. Four triples, one of which occurred before: −2 · 1/4.
    assert utility("go on go on go on") == pytest.approx(0 - 2 * 2 / 4)


def test_longer_than_sixty_words_falls_to_minus_one():
    words = [f"w{n}" for n in range(300)]
    assert utility(" ".join(words[:60])) == pytest.approx(1)
    assert utility(" ".join(words[:105])) == pytest.approx(0)
    assert utility(" ".join(words)) == pytest.approx(-1)


def test_same_labeler_sees_the_same_and_another_something_else():
    assert noisy(1.0, labeler="sim-001", text="a") == noisy(1.0, labeler="sim-001", text="a")
    assert noisy(1.0, labeler="sim-001", text="a") != noisy(1.0, labeler="sim-002", text="a")


def test_ranks_do_not_depend_on_the_order_shown():
    shown = [{"id": str(n), "text": FIFTEEN[: 12 * n]} for n in range(6)]
    assert judge(shown, question="?", labeler="x") == judge(shown[::-1], question="?", labeler="x")


def test_ranks_and_ratings_are_what_the_api_takes():
    shown = [{"id": str(n), "text": FIFTEEN[: 10 * n]} for n in range(9)]
    verdicts = judge(shown, question="seven", labeler="x")
    assert {verdict.id for verdict in verdicts} == {one["id"] for one in shown}
    assert all(1 <= verdict.rank <= 9 and 1 <= verdict.rating <= 7 for verdict in verdicts)
    assert [verdict.rank for verdict in verdicts] == sorted(verdict.rank for verdict in verdicts)


def test_labelers_agree_mostly_and_not_always():
    pairs = agree = 0
    texts = [{"id": str(n), "text": " ".join(FIFTEEN.split()[:n]) + "." * (n % 2)} for n in range(2, 15)]
    orders = [{v.id: v.rank for v in judge(texts, question="", labeler=f"sim-{n}")} for n in range(12)]
    for one, two in combinations(orders, 2):
        for a, b in combinations(one, 2):
            if one[a] != one[b] and two[a] != two[b]:
                pairs += 1
                agree += (one[a] < one[b]) == (two[a] < two[b])
    assert 0.65 < agree / pairs < 0.95
    assert TIE > 0
