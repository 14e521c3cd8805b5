"""What may be shown of a round's counts. Pure: counts in, rows out.

The rule is that nobody can tell how many are in an answer which fewer than `minimum` people gave: not from its own row,
nor by taking the other rows from the total, nor by knowing this code. A test tries all counts of small teams. Where
nothing is to be hidden, an answer that nobody gave is shown as 0; else it is not told from a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEAST_MINIMUM = 3  # two people put together know each other's answer


@dataclass(frozen=True)
class Row:
    """One row of a table: these options together, and how many people gave one of them. None: that is not shown."""

    options: tuple[str, ...]
    count: int | None


# How steps of a scale may be put together, finest first: what lies beside each other, and at last all. The numbers are
# places in SCALE with "prefer not to say" at its end. Which is taken follows from the counts alone, so each that
# was passed over tells something: with all that there are, small counts follow, as the test finds.
LADDER = (
    ((0,), (1,), (2,), (3,), (4,), (5,)),
    ((0,), (1,), (2, 5), (3,), (4,)),
    ((0, 1), (2,), (3, 4), (5,)),
    ((0, 1), (2, 5), (3, 4)),
    ((0,), (1,), (2, 3, 4, 5)),
    ((0, 1, 2, 5), (3,), (4,)),
    ((0,), (1, 2, 3, 4, 5)),
    ((0, 1), (2, 3, 4, 5)),
    ((0, 1, 2, 5), (3, 4)),
    ((0, 1, 2, 3, 5), (4,)),
    ((0, 1, 2, 3, 4, 5),),
)


def shown_rows(*, kind: str, counts: Mapping[str, int], answered: int, minimum: int) -> list[Row]:
    """The rows that may be shown of one question, by option in the questionnaire's order, "prefer not to say" last.

    `answered` people took part, at least `minimum` of them, which is LEAST_MINIMUM or more. ValueError otherwise.
    """
    if minimum < LEAST_MINIMUM or answered < minimum:
        raise ValueError(f"{answered} answers are too few to show any, at least {minimum} wanted")
    options, values = tuple(counts), tuple(counts.values())
    if kind == "scale":
        return [
            Row(tuple(options[place] for place in group), sum(values[place] for place in group))
            for group in _step(values, minimum)
        ]
    if kind == "several":
        hidden = _hidden_of_several(values, answered, minimum)
        together = None
    else:
        hidden = _hidden_of_one(values, minimum)
        together = sum(values[place] for place in hidden)
    shown = [Row((options[place],), values[place]) for place in range(len(values)) if place not in hidden]
    return [*shown, Row(tuple(options[place] for place in sorted(hidden)), together)] if hidden else shown


def _step(values: Sequence[int], minimum: int) -> tuple[tuple[int, ...], ...]:
    """The way of LADDER without a small number that leaves most rows with anybody in them, the finest of these."""
    ways = []
    for groups in LADDER:
        sums = [sum(values[place] for place in group) for group in groups]
        if all(count == 0 or count >= minimum for count in sums):
            ways.append((groups, sum(count > 0 for count in sums)))
    return max(ways, key=lambda way: way[1])[0]


def _hidden_of_one(values: Sequence[int], minimum: int) -> set[int]:
    """Places of the options that are put together where each person gave one answer: all below the minimum, and others
    from the last on until the sum says nothing of any single one."""
    hidden = {place for place, value in enumerate(values) if value < minimum}
    unsaid = len(values) - 1
    # Had somebody given one of these, it might as well have been "prefer not to say": an empty row betrays nobody.
    if not hidden or unsaid in hidden and not any(values[place] for place in hidden):
        return set()
    small = set(hidden)
    # Others are taken by their place and never by their count, which would tell something of it.
    for place in reversed(range(len(values))):
        count = sum(values[place] for place in hidden)
        if count >= minimum and not _all_known(small, hidden, count, minimum):
            break
        hidden.add(place)
    return hidden


def _hidden_of_several(values: Sequence[int], answered: int, minimum: int) -> set[int]:
    """As above where a person may tick several: no sum is shown, and who did not tick is not told either."""
    hidden = {place for place, value in enumerate(values) if value < minimum or answered - value < minimum}
    unsaid = len(values) - 1
    if not hidden or unsaid in hidden and not any(values[place] for place in hidden):
        return set()
    small = set(hidden)
    for place in reversed(range(len(values))):
        # So many, at least, ticked none of what is shown.
        rest = answered - sum(value for at, value in enumerate(values) if at not in hidden)
        if len(hidden) > 1 and not 0 < rest < minimum and not _all_known(small, hidden, rest, minimum):
            break
        hidden.add(place)
    return hidden


def _all_known(small: set[int], hidden: set[int], count: int, minimum: int) -> bool:
    """Whether `count` people are as many as the small options alone can have: then each has its most."""
    return hidden == small and count >= len(small) * (minimum - 1)
