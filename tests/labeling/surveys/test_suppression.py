"""What may be shown of counts, tried on all counts of small teams: whoever sees the rows and knows the code learns no
number below the minimum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product

import pytest

from labeling.surveys.suppression import LADDER, Row, shown_rows


def of_one(options: int, answered: int) -> Iterator[tuple[int, ...]]:
    """All counts by which `answered` people can have chosen one of `options` each."""
    if options == 1:
        yield (answered,)
        return
    for first in range(answered + 1):
        for rest in of_one(options - 1, answered - first):
            yield (first, *rest)


def of_several(options: int, answered: int) -> Iterator[tuple[int, ...]]:
    """All counts where each of `answered` people ticked one or more, or the last option alone."""
    for unsaid in range(answered + 1):
        said = answered - unsaid
        for ticked in product(range(said + 1), repeat=options - 1):
            if sum(ticked) >= said:
                yield (*ticked, unsaid)


def show(kind: str, values: tuple[int, ...], answered: int, minimum: int) -> tuple[Row, ...]:
    counts = {f"o{place}": value for place, value in enumerate(values)}
    return tuple(shown_rows(kind=kind, counts=counts, answered=answered, minimum=minimum))


def betrayed(kind: str, possible: Iterator[tuple[int, ...]], answered: int, minimum: int) -> list:
    """Counts below the minimum, above 0, that the rows shown leave one possibility for."""
    by_rows = defaultdict(list)
    for values in possible:
        by_rows[show(kind, values, answered, minimum)].append(values)
    found = []
    for rows, behind in by_rows.items():
        for place in range(len(behind[0])):
            could_be = {values[place] for values in behind}
            if len(could_be) == 1 and 0 < could_be.pop() < minimum:
                found.append((rows, place, behind))
            # Of several answers, who did not tick is a count too.
            if kind == "several":
                not_ticked = {answered - values[place] for values in behind}
                if len(not_ticked) == 1 and 0 < not_ticked.pop() < minimum:
                    found.append((rows, place, behind))
    return found


@pytest.mark.parametrize("minimum", [3, 5])
def test_no_small_count_follows_from_what_is_shown_of_one_choice(minimum):
    for options, most in ((2, 22), (3, 22), (4, 18), (5, 12)):
        for answered in range(minimum, most):
            assert betrayed("choice", of_one(options, answered), answered, minimum) == []


@pytest.mark.parametrize("minimum", [3, 5])
def test_no_small_count_follows_from_what_is_shown_of_a_scale(minimum):
    for answered in range(minimum, 14):
        assert betrayed("scale", of_one(6, answered), answered, minimum) == []


def test_no_small_count_follows_from_what_is_shown_of_several_choices():
    for options, answered in ((2, 9), (3, 3), (3, 7), (3, 10), (4, 6), (4, 7)):
        assert betrayed("several", of_several(options, answered), answered, 3) == []


@pytest.mark.parametrize("kind", ["choice", "scale", "several"])
def test_no_row_shows_a_small_number(kind):
    possible = of_several(4, 7) if kind == "several" else of_one(6, 9)
    answered = 7 if kind == "several" else 9
    for values in possible:
        for row in show(kind, values, answered, 3):
            assert row.count is None or row.count == 0 or row.count >= 3, values
            assert kind != "several" or row.count in (None, 0) or answered - row.count >= 3, values


def test_without_any_small_number_all_is_shown_as_in_the_paper():
    # The shares of Table 13's first and third statement, of 19 people.
    assert [row.count for row in show("scale", (11, 8, 0, 0, 0, 0), 19, 5)] == [11, 8, 0, 0, 0, 0]
    assert [row.count for row in show("scale", (0, 6, 6, 7, 0, 0), 19, 5)] == [0, 6, 6, 7, 0, 0]
    assert [row.count for row in show("choice", (10, 9, 0, 0), 19, 5)] == [10, 9, 0, 0]


def test_steps_beside_each_other_are_put_together():
    assert show("scale", (9, 2, 0, 3, 5, 0), 19, 5) == (
        Row(("o0", "o1"), 11),
        Row(("o2",), 0),
        Row(("o3", "o4"), 8),
        Row(("o5",), 0),
    )
    # One who disagrees would follow from all who do not, wherever the scale is cut but below the first step.
    assert show("scale", (9, 9, 0, 0, 1, 0), 19, 5) == (Row(("o0",), 9), Row(("o1", "o2", "o3", "o4", "o5"), 10))


def test_small_answers_take_others_with_them_until_the_sum_tells_nothing():
    # One person alone would follow from the total, so the last answer that could be shown goes with it.
    assert show("choice", (12, 7, 1, 0), 20, 5) == (Row(("o0",), 12), Row(("o1", "o2", "o3"), 8))
    # At most 4 each and 8 together: both would be known to be 4.
    assert show("choice", (9, 4, 6, 4), 23, 5) == (Row(("o0",), 9), Row(("o1", "o2", "o3"), 14))


def test_too_few_people_are_shown_nothing():
    for answered, minimum in ((4, 5), (5, 2)):
        with pytest.raises(ValueError, match="too few"):
            show("choice", (answered, 0), answered, minimum)


def test_every_level_of_the_ladder_has_every_step_once():
    for groups in LADDER:
        assert sorted(place for group in groups for place in group) == list(range(6))
