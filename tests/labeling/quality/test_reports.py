"""What is planted is found, what is not there is not, and small cases by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from labeling.quality.reports import (
    KINDS,
    LEAST_PROMPTS,
    Finding,
    Rankings,
    Writing,
    large,
    pairs_of,
    report,
)
from labeling.simulation.checking import check
from labeling.simulation.population import CLICKER, STRAIGHT, draw, population

NAN = math.nan


def rankings(*given, k: int = 3, **columns) -> Rankings:
    """Each given is (labeler, prompt, ranks); ratings and places where named, else none."""
    count = len(given)
    ranks = np.array([ranks for _, _, ranks in given], float)
    rows = count * k
    filled = {
        "labeler": np.array([labeler for labeler, _, _ in given]),
        "prompt": np.array([prompt for _, prompt, _ in given]),
        "seconds": np.full(count, NAN),
        "ranking": np.repeat(np.arange(count), k),
        "completion": np.concatenate([prompt * 100 + np.arange(k) for _, prompt, _ in given]),
        "rank": ranks.ravel(),
        "rating": np.full(rows, NAN),
        "place": np.full(rows, NAN),
        "place_ranked": np.full(rows, NAN),
        "words": np.full(rows, 10.0),
        "markdown": np.zeros(rows),
        "model": np.full(rows, -1),
        "models": (),
    }
    return Rankings(**{**filled, **{name: np.asarray(values) for name, values in columns.items()}})


def by_kind(found) -> dict:
    return {(each.labeler, each.kind): each for each in found.findings}


def many(*given, times: int = LEAST_PROMPTS, k: int = 3, **columns) -> Rankings:
    """The same rankings again for each of `times` prompts."""
    repeated = [(labeler, prompt, ranks) for prompt in range(times) for labeler, _, ranks in given]
    filled = {name: np.tile(np.asarray(values, float), times) for name, values in columns.items()}
    return rankings(*repeated, k=k, **filled)


@pytest.fixture(scope="module")
def planted():
    people = population(0)
    return people, report(draw(people, 7, tasks=2500))


# By hand


def test_pairs_know_what_colleagues_said():
    # Three rank the same: a>b>c, a>b=c, c>a>b. Of b against c the first says yes, the second a tie, the third no.
    pairs = pairs_of(rankings((0, 1, (1, 2, 3)), (1, 1, (1, 2, 2)), (2, 1, (2, 3, 1))))
    first = pairs.labeler == 0
    assert pairs.choices.first[first].tolist() == [1, 1, 1]  # a-b, a-c, b-c
    assert pairs.choices.wins[first].tolist() == [2, 1, 0.5]
    assert set(pairs.choices.seen) == {2}
    assert pairs.choices.first[pairs.labeler == 1].tolist() == [1, 1, 0.5]


def test_ratings_give_the_order_where_no_order_was_asked_for():
    given = rankings((0, 1, (NAN, NAN, NAN)), rating=[7, 2, 5])
    assert pairs_of(given).choices.first.tolist() == [1, 1, 0]
    # A rating is no order beside ranks: what has no rank there is in no pair.
    some = rankings((0, 1, (1, NAN, 2)), rating=[7, 2, 5])
    assert len(pairs_of(some).choices) == 1


def test_skill_by_hand():
    # Two agree on everything, the third on one pair of three with both of them: b-c of a>b>c against b>c>a.
    found = by_kind(report(many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3)), (2, 0, (3, 1, 2)))))
    assert found[2, "skill"].value == pytest.approx(1 / 3)
    # Of the first's colleagues one agrees and one does not on a-b and a-c: no majority, left out.
    assert (found[0, "skill"].value, found[0, "skill"].count) == (1, LEAST_PROMPTS)
    assert found[2, "skill"].reference == 1


def test_few_prompts_say_nothing():
    found = by_kind(report(many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3)), times=LEAST_PROMPTS - 1)))
    assert found[0, "skill"].value is None
    assert found[0, "place"].effect is None
    assert not any(each.marked for each in found.values())


def test_contradictions_by_hand():
    # Ranks a>b>c, ratings 5, 6, 6: a-b and a-c are turned, b-c is even and does not count.
    found = by_kind(report(many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3)), rating=[5, 6, 6, 6, 5, 4])))
    assert (found[0, "contradiction"].value, found[0, "contradiction"].count) == (1, 2 * LEAST_PROMPTS)
    assert found[1, "contradiction"].value == 0


def test_straight_lining_by_hand():
    shown = [0, 0.5, 1]
    given = many(
        (0, 0, (1, 2, 3)),  # the order shown
        (1, 0, (3, 2, 1)),  # the order shown, from the end: a choice like any
        (2, 0, (1, 1, 1)),  # all ranks the same
        (3, 0, (2, 1, 3)),  # all ratings the same
        rating=[5, 4, 3, 3, 4, 5, 1, 2, 3, 6, 6, 6],
        place=shown * 4,
    )
    found = by_kind(report(given))
    assert [found[one, "straight"].value for one in range(4)] == [1, 0, 1, 1]
    assert found[0, "straight"].detail["as_shown"] == LEAST_PROMPTS
    # Of two completions every answer would be one.
    two = by_kind(report(many((0, 0, (1, 2)), (1, 0, (1, 2)), k=2, place=[0, 1] * 2)))
    assert two[0, "straight"].value is None


def test_rating_use_by_hand():
    given = many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3)), rating=[7, 7, 7, 7, 4, 1])
    found = by_kind(report(given))
    assert (found[0, "rating_spread"].value, found[0, "rating_ceiling"].value) == (0, 1)
    assert found[1, "rating_spread"].value == pytest.approx(math.sqrt(6))
    assert found[1, "rating_spread"].detail["histogram"] == [LEAST_PROMPTS, 0, 0, LEAST_PROMPTS, 0, 0, LEAST_PROMPTS]
    assert found[1, "rating_ceiling"].effect == pytest.approx(1 / 3 - 1)


def test_pace_is_a_ratio_and_hurry_its_tail():
    given = many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3)), (2, 0, (1, 2, 3)))
    given = replace(given, seconds=np.tile([10.0, 40.0, 40.0], LEAST_PROMPTS))
    found = by_kind(report(given))
    assert found[0, "speed"].value == pytest.approx(100 * 10 / 40)
    assert math.exp(found[0, "speed"].effect) == pytest.approx(1 / 4)
    assert [found[one, "hurry"].value for one in range(3)] == [1, 0, 0]


def test_pasted_share_counts_characters():
    written = Writing(
        np.array([0] * 20 + [1] * 20), np.arange(40), np.full(40, 200.0), np.array([150.0] * 20 + [0.0] * 20)
    )
    found = by_kind(report(many((0, 0, (1, 2, 3)), (1, 0, (1, 2, 3))), written))
    assert (found[0, "pasted"].value, found[1, "pasted"].value) == (0.75, 0)
    assert found[0, "pasted"].marked


def test_nothing_at_all():
    assert report(rankings((0, 0, (1, 2, 3)))).looks == 0
    empty = rankings((0, 0, (1, 2, 3)))
    nothing = {name: value[:0] if isinstance(value, np.ndarray) else value for name, value in vars(empty).items()}
    assert report(Rankings(**nothing)).findings == []


def test_only_what_is_large_is_worth_a_look():
    assert large(Finding(1, "place", 9, 9, effect=0.06))
    assert not large(Finding(1, "place", 9, 9, effect=0.04))
    assert not large(Finding(1, "skill", 9, 9, effect=0.2)), "to agree more than others is no fault"
    assert large(Finding(1, "speed", 9, 9, effect=-math.log(2)))


# Planted


def test_planted_biases_lie_within_their_intervals(planted):
    people, found = planted
    checked = check(people, by_kind(found), [verdict.labeler for verdict in found.verdicts if verdict.spam])
    assert checked.planted == 76
    assert checked.covered >= 67  # 72 expected; fewer than 67 once in a hundred
    assert checked.all_within
    assert checked.spearman >= 0.85  # of 250 rankings each; 0.9 is asked of 500
    assert (checked.spammers_found, checked.false_alarms) == (2, 0)


def test_biases_are_told_apart(planted):
    """Who likes what is shown first is not said to like length; nobody likes Markdown or the second step's order."""
    people, found = planted
    figures = by_kind(found)
    for kind in ("markdown", "place_ranked"):
        within = [figures[number, kind].low <= 0 <= figures[number, kind].high for number in range(38)]
        assert sum(within) >= 31  # 36 expected
    place = np.array([figures[number, "place"].detail["log_odds"] for number in range(38)])
    assert np.corrcoef(place, people.place[:38])[0, 1] > 0.8
    assert abs(np.corrcoef(place, people.length[:38])[0, 1]) < 0.5


def test_length_that_goes_with_quality_is_nobodys_bias():
    """In the simulation better completions are longer. That shows in the team's figure alone."""
    people = population(3)
    people = replace(people, length=np.zeros_like(people.length), place=np.zeros_like(people.place))
    found = by_kind(report(draw(people, 3, tasks=2000)))
    assert found[None, "length"].low > 0.02
    assert sum(found[number, "length"].low <= 0 <= found[number, "length"].high for number in range(38)) >= 31
    assert not any(found[number, "length"].marked for number in range(40))


def test_spammers_are_found_by_what_gives_them_away(planted):
    _, found = planted
    figures = by_kind(found)
    assert figures[STRAIGHT, "straight"].value == 1
    assert figures[STRAIGHT, "place"].value > 0.95
    assert figures[CLICKER, "skill"].detail["value_low"] < 0.5
    assert figures[CLICKER, "contradiction"].value > 0.3
    for number in (STRAIGHT, CLICKER):
        assert {kind for kind in ("hurry", "speed", "skill") if figures[number, kind].marked} == {
            "hurry",
            "speed",
            "skill",
        }


def test_a_favourite_model_is_named():
    people = population(5)
    given = draw(people, 5, tasks=1500)
    # Labeler 4 puts the second model first, whatever the rest.
    mine = np.isin(given.ranking, np.nonzero(given.labeler == 4)[0])
    rank = np.where(mine & (given.model == 1), 0, given.rank)
    found = by_kind(report(replace(given, rank=rank)))
    assert found[4, "model"].detail["model"] == given.models[1]
    assert found[4, "model"].marked
    assert found[4, "model"].value > 0.8


def test_who_has_no_bias_is_seldom_marked():
    """Forty honest labelers, alike in all but attention: of the figures that stand out hardly any may."""
    people = population(11)
    people = replace(people, length=np.zeros_like(people.length), place=np.zeros_like(people.place))
    found = report(draw(people, 11, tasks=1500))
    biases = ("place", "place_ranked", "length", "markdown", "model")
    marked = [each for each in found.findings if each.kind in biases and each.marked and each.labeler != STRAIGHT]
    assert len(marked) <= 2


def test_every_kind_is_reported(planted):
    _, found = planted
    assert {each.kind for each in found.findings} == set(KINDS) - {"pasted"}
