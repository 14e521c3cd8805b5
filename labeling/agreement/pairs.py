"""What each two labelers who judged the same texts have in common. Pure: arrays in, arrays out.

The unit is a pair of labelers at one task. What they have in common is written as entries (pair, column, value) of a
long sparse row, so that any set of pairs is summed by adding, and a statistic is a function of such a sum
(`statistics.py`). The columns:

    agree, pairs               pairs of completions that both put in an order, and those in the same one
    half_agree, half_pairs     the same over all pairs of completions, a tie counting half
    ties_first, ties_second    of half_pairs, those that the first or the second labeler tied
    tau, taus                  Kendall's tau-b of the two orders, and 1 where it is defined
    ratings                    (7, 7) counts: the first labeler's rating by the second's
    rank_coincidences          (V, V) triangle, the weights of Krippendorff's coincidence matrix
    rating_coincidences        (7, 7) triangle
    flags                      (F, 4): both set it, the first alone, the second alone, how many were asked
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

AGREE, PAIRS, HALF_AGREE, HALF_PAIRS, TIES_FIRST, TIES_SECOND, TAU, TAUS = range(8)
SCALARS = 8
RATINGS = 7
# Labeler groups in the order in which the two of a pair are named: labelers come before researchers.
TRAINING, HELD_OUT, SIMULATED, RESEARCHER = 0, 1, 2, 3
GROUPS = 4
# Which set of labelers a pair belongs to: one group, or two of them across.
WITH_RESEARCHERS, HELD_OUT_WITH_TRAINING, NO_SET = 4, 5, 6
SETS = 6
MOST_AT_ONCE = 300_000  # completions of pairs of labelers that arrays are made for


@dataclass(frozen=True)
class Layout:
    """Where the columns stand, for ranks up to `ranks` and so many flags."""

    ranks: int
    flags: int = 0

    @property
    def ratings(self) -> int:
        return SCALARS

    @property
    def rank_coincidences(self) -> int:
        return self.ratings + RATINGS * RATINGS

    @property
    def rating_coincidences(self) -> int:
        return self.rank_coincidences + triangle(self.ranks)

    @property
    def flag_counts(self) -> int:
        return self.rating_coincidences + triangle(RATINGS)

    @property
    def width(self) -> int:
        return self.flag_counts + 4 * self.flags


def triangle(size: int) -> int:
    return size * (size + 1) // 2


@dataclass(frozen=True)
class Judged:
    """Tasks of one shape, n of them, each judged by L labelers over K completions. Labelers stand in order of groups.

    Ranks and ratings are 0 where none was given. Flags are bit masks, of completions and of the prompt; what the form
    asked for is `asked` and `prompt_asked`, in the same bits.
    """

    ranks: np.ndarray  # (n, L, K) int
    ratings: np.ndarray  # (n, L, K) int
    flags: np.ndarray  # (n, L, K) int64
    asked: np.ndarray  # (n, L) int64
    prompt_flags: np.ndarray  # (n, L) int64
    prompt_asked: np.ndarray  # (n, L) int64
    judged: np.ndarray  # (n, L, K) bool: the completion was before the labeler
    groups: np.ndarray  # (n, L)
    labelers: np.ndarray  # (n, L)
    weeks: np.ndarray  # (n, L)
    tasks: np.ndarray  # (n,) number of the task
    prompts: np.ndarray  # (n,) number of the prompt, which is the cluster
    use_cases: np.ndarray  # (n,)
    since: int = 0  # no prompt before this one comes again

    def part(self, start: int, stop: int) -> Judged:
        arrays = {name: values for name, values in self.__dict__.items() if name != "since"}
        return Judged(**{name: values[start:stop] for name, values in arrays.items()}, since=self.since)


@dataclass(frozen=True)
class Table:
    """P pairs of labelers, and the E entries of their rows."""

    task: np.ndarray  # (P,)
    prompt: np.ndarray
    use_case: np.ndarray
    week: np.ndarray  # of the later of the two
    set: np.ndarray  # a group, one of the two above, or NO_SET
    first: np.ndarray  # labelers
    second: np.ndarray
    scalars: np.ndarray  # (P, SCALARS)
    row: np.ndarray  # (E,) which pair
    column: np.ndarray  # (E,)
    value: np.ndarray  # (E,) among all labelers of the task
    value_in_set: np.ndarray  # (E,) among those of the pair's set: Krippendorff's weights differ
    since: int  # no prompt before this one comes again

    def by_pair(self) -> dict[str, np.ndarray]:
        no_pairs = ("row", "column", "value", "value_in_set", "since")
        return {name: values for name, values in self.__dict__.items() if name not in no_pairs}


def tables_of(judged: Judged, layout: Layout) -> Iterator[Table]:
    """The pairs of all labelers of each task, in parts that keep memory bounded."""
    tasks, labelers, completions = judged.ranks.shape
    step = max(1, MOST_AT_ONCE // (completions * labelers * (labelers - 1) // 2))
    for start in range(0, tasks, step):
        yield _table(judged.part(start, start + step), layout)


def _table(judged: Judged, layout: Layout) -> Table:
    tasks, labelers, completions = judged.ranks.shape
    one, two = np.triu_indices(labelers, k=1)
    pairs = tasks * len(one)

    def both(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(P, …) of the first and of the second labeler of each pair."""
        return tuple(values[:, side].reshape(pairs, *values.shape[2:]) for side in (one, two))

    groups = both(judged.groups)
    sets = _sets(*groups)
    entries = [
        *_ratings(*both(judged.ratings), layout),
        *_coincidences(judged.ranks, judged.groups, one, two, sets, layout.ranks, layout.rank_coincidences),
        *_coincidences(judged.ratings, judged.groups, one, two, sets, RATINGS, layout.rating_coincidences),
        *_flags(judged, both, layout),
    ]
    row, column, value, value_in_set = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    return Table(
        task=np.repeat(judged.tasks, len(one)),
        prompt=np.repeat(judged.prompts, len(one)),
        use_case=np.repeat(judged.use_cases, len(one)),
        week=np.maximum(*both(judged.weeks)),
        set=sets,
        first=both(judged.labelers)[0],
        second=both(judged.labelers)[1],
        scalars=compare(*both(judged.ranks)),
        row=row,
        column=column,
        value=value,
        value_in_set=value_in_set,
        since=judged.since,
    )


def _sets(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) which set each pair belongs to; `first` never comes after `second` in the order of groups."""
    sets = np.full(len(first), NO_SET)
    sets[second == RESEARCHER] = WITH_RESEARCHERS
    sets[(first == TRAINING) & (second == HELD_OUT)] = HELD_OUT_WITH_TRAINING
    same = first == second
    sets[same] = first[same]
    return sets


def compare(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P, SCALARS) of the ranks (P, K) that two labelers gave, 1 is best, 0 where none was given.

    A pair of completions counts where both labelers ranked both. Kendall 1945: tau-b is (C - D) / sqrt((n-T1)(n-T2))
    with C pairs ordered alike and D unlike, n pairs in all, and T1 and T2 those that either labeler tied.
    """
    left, right = np.triu_indices(first.shape[1], k=1)
    known = (first > 0) & (second > 0)
    counts = known[:, left] & known[:, right]  # (P, K(K-1)/2)
    signs = []
    for ranks in (first, second):
        ranks = ranks.astype(np.int8)
        signs.append(np.sign(ranks[:, left] - ranks[:, right]) * counts)
    product = signs[0] * signs[1]
    found = np.empty((len(first), SCALARS), np.float32)
    found[:, AGREE] = (product > 0).sum(1)
    found[:, PAIRS] = (product != 0).sum(1)
    found[:, HALF_PAIRS] = counts.sum(1)
    ordered = [(sign != 0).sum(1) for sign in signs]
    found[:, TIES_FIRST], found[:, TIES_SECOND] = (found[:, HALF_PAIRS] - each for each in ordered)
    # Two ties agree; those are the pairs that neither ordered.
    both_tied = found[:, HALF_PAIRS] - ordered[0] - ordered[1] + found[:, PAIRS]
    one_tied = found[:, HALF_PAIRS] - found[:, PAIRS] - both_tied
    found[:, HALF_AGREE] = found[:, AGREE] + both_tied + one_tied / 2
    scale = np.sqrt(ordered[0].astype(float) * ordered[1])
    found[:, TAUS] = scale > 0
    found[:, TAU] = (2 * found[:, AGREE] - found[:, PAIRS]) / np.maximum(scale, 1)
    return found


def _ratings(first: np.ndarray, second: np.ndarray, layout: Layout) -> Iterator[tuple]:
    row, place = np.nonzero((first > 0) & (second > 0))
    a, b = (each[row, place].astype(np.int64) - 1 for each in (first, second))
    column = layout.ratings + a * RATINGS + b
    ones = np.ones(len(row), np.float32)
    yield row, column, ones, ones


def _coincidences(
    values: np.ndarray,
    groups: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    sets: np.ndarray,
    most: int,
    offset: int,
) -> Iterator[tuple]:
    """Krippendorff's coincidences: a unit that m labelers gave values to counts m in all, spread over its pairs.

    Within one set of labelers that is 1 / (m - 1) for each ordered pair. Across two sets of a and b labelers there are
    a·b pairs, each of (a + b) / (2·a·b).
    """
    tasks, _labelers, completions = values.shape
    known = values > 0
    of_all = known.sum(1)  # (n, K)
    of_group = np.stack([(known & (groups == group)[..., None]).sum(1) for group in range(GROUPS)])  # (4, n, K)
    first, second = (values[:, side].reshape(-1, completions) for side in (one, two))
    row, place = np.nonzero((first > 0) & (second > 0))
    a, b = (each[row, place].astype(np.int64) - 1 for each in (first, second))
    low, high = np.minimum(a, b), np.maximum(a, b)
    task = row // len(one)
    weight = 1 / (of_all[task, place] - 1)
    chosen = sets[row]
    within = chosen < GROUPS
    in_set = np.zeros(len(row))
    in_set[within] = 1 / (of_group[chosen[within], task[within], place[within]] - 1)
    for which, sides in (
        (WITH_RESEARCHERS, ((TRAINING, HELD_OUT, SIMULATED), (RESEARCHER,))),
        (HELD_OUT_WITH_TRAINING, ((TRAINING,), (HELD_OUT,))),
    ):
        across = chosen == which
        here = (task[across], place[across])
        m, n = (sum(of_group[group][here] for group in side) for side in sides)
        in_set[across] = (m + n) / (2 * m * n)
    yield row, offset + position(low, high, most), weight.astype(np.float32), in_set.astype(np.float32)


def position(low: np.ndarray, high: np.ndarray, size: int) -> np.ndarray:
    """Where the pair of values low <= high, from 0, stands in the triangle of a (size, size) matrix, row by row."""
    return low * size - low * (low - 1) // 2 + high - low


def square(flat: np.ndarray, size: int) -> np.ndarray:
    """(…, size, size) symmetric coincidences from their triangles: each pair counts in both directions."""
    full = np.zeros((*flat.shape[:-1], size, size))
    rows, columns = np.triu_indices(size)
    full[..., rows, columns] = flat
    return full + np.swapaxes(full, -1, -2)


def _flags(judged: Judged, both, layout: Layout) -> Iterator[tuple]:
    """A flag of completions has as many units as both labelers saw, one of the prompt a single one."""
    together = np.logical_and(*both(judged.judged))
    once = np.ones((len(together), 1), bool)
    of_prompt = tuple(each[:, None] for each in both(judged.prompt_flags))
    for (first, second), asked, units in (
        (both(judged.flags), np.bitwise_and(*both(judged.asked)), together),
        (of_prompt, np.bitwise_and(*both(judged.prompt_asked)), once),
    ):
        for number in range(layout.flags):
            bit = np.int64(1 << number)
            row = np.flatnonzero(asked & bit)
            if not len(row):
                continue
            here = units[row]
            one, two = ((each[row] & bit != 0) & here for each in (first, second))
            counts = ((one & two).sum(1), (one & ~two).sum(1), (~one & two).sum(1), here.sum(1))
            for place, count in enumerate(counts):
                some = np.flatnonzero(count)
                value = count[some].astype(np.float32)
                yield row[some], np.full(len(some), layout.flag_counts + 4 * number + place), value, value
