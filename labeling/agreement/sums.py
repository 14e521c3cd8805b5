"""Sums over many pairs of labelers, kept apart by prompt so that they can be drawn again. Pure: no database.

Memory does not grow with the data: beyond CLUSTERS prompts, several share a row, by turns. As the prompts come in an
order that has nothing to do with their answers, these are random groups of prompts, whose variance is that of prompts
(Wolter 2007, Introduction to Variance Estimation, chapter 2).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from labeling.agreement.pairs import SCALARS, Table

CLUSTERS = 1000
DRAWS = 2000
SEED = 20221127  # the same answers give the same intervals


class Sums:
    """One sum for each of some sets of pairs ("slots"), as wide as a pair's row, and the same by cluster."""

    def __init__(self, slots: int, width: int) -> None:
        self.width = width
        self.total = np.zeros((slots, width))
        self.by_cluster = np.zeros((slots, CLUSTERS, width), np.float32)
        self.prompts = np.zeros(slots, np.int64)
        self.tasks = np.zeros(slots, np.int64)
        # Of the prompts that may still come again: which row each has in each slot.
        self._keys = self._rows = np.empty(0, np.int64)

    def add(self, table: Table, slot: np.ndarray, *, in_set: bool = False) -> None:
        """Add each pair of the table to the slot it has in `slot` (P,), -1 for none.

        All pairs of a task come in one call, and no prompt before `table.since` comes again.
        """
        used = np.flatnonzero(slot >= 0)
        if not len(used):
            return
        cluster = self._clusters(slot[used], table.prompt[used], table.since)
        self.tasks += np.bincount(distinct(slot[used], table.task[used])[0], minlength=len(self.total))
        place = np.full(len(slot), -1, np.int64)
        place[used] = (slot[used] * CLUSTERS + cluster) * self.width
        flat, total = self.by_cluster.reshape(-1), self.total.reshape(-1)
        for column in range(SCALARS):
            values = table.scalars[used, column]
            np.add.at(flat, place[used] + column, values)
            self.total[:, column] += np.bincount(slot[used], values, len(self.total))
        if self.width > SCALARS:
            values = table.value_in_set if in_set else table.value
            entries = np.flatnonzero(place[table.row] >= 0) if len(used) < len(slot) else slice(None)
            row, column, values = table.row[entries], table.column[entries], values[entries]
            np.add.at(flat, place[row] + column, values)
            total += np.bincount(slot[row] * self.width + column, values, len(total))

    def add_both(self, table: Table, first: np.ndarray, second: np.ndarray) -> None:
        """Add each pair to the slot of either of its labelers, as the scalars of a pair whose labelers are alike."""
        twice = {name: np.concatenate([values, values]) for name, values in table.by_pair().items()}
        self.add(replace(table, **twice), np.concatenate([first, second]))

    def _clusters(self, slot: np.ndarray, prompt: np.ndarray, since: int) -> np.ndarray:
        """(P,) the row of each pair's prompt within its slot: the one it has, or the next for a new prompt."""
        kept = self._keys // len(self.total) >= since
        keys, inverse = np.unique(prompt.astype(np.int64) * len(self.total) + slot, return_inverse=True)
        at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        known = self._keys[at] == keys if len(self._keys) else np.zeros(len(keys), bool)
        rows = np.empty(len(keys), np.int64)
        rows[known] = self._rows[at[known]]
        # New ones: in each slot from where it stands.
        new = np.flatnonzero(~known)
        new = new[np.argsort(keys[new] % len(self.total), kind="stable")]
        of_slot = keys[new] % len(self.total)
        count = np.bincount(of_slot, minlength=len(self.total))
        begin = np.concatenate([[0], np.cumsum(count)[:-1]])
        rows[new] = (self.prompts[of_slot] + np.arange(len(new)) - begin[of_slot]) % CLUSTERS
        self.prompts += count
        all_keys, all_rows = np.append(self._keys[kept], keys[new]), np.append(self._rows[kept], rows[new])
        order = np.argsort(all_keys)
        self._keys, self._rows = all_keys[order], all_rows[order]
        return rows[inverse]

    def draws(self, slot: int) -> np.ndarray:
        """(DRAWS, width) the slot's sum if as many prompts were drawn again, with replacement."""
        rows = self.by_cluster[slot, : min(self.prompts[slot], CLUSTERS)]
        used = np.flatnonzero(rows.any(axis=0))
        found = np.zeros((DRAWS, self.width), np.float32)
        if len(used):
            found[:, used] = weights(len(rows)) @ np.ascontiguousarray(rows[:, used])
        return found


def distinct(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The different pairs of two columns of whole numbers, sorted, and which of them each row is."""
    span = int(second.max()) - (low := int(second.min())) + 1
    keys, inverse = np.unique(first.astype(np.int64) * span + (second - low), return_inverse=True)
    return keys // span, keys % span + low, inverse


_kept: dict[int, np.ndarray] = {}


def weights(count: int) -> np.ndarray:
    """(DRAWS, count) how often each of `count` clusters comes in each draw. Seeded; the last few are kept."""
    if count not in _kept:
        if len(_kept) >= 4:
            _kept.pop(next(iter(_kept)))
        rng = np.random.default_rng(SEED)
        drawn = rng.integers(0, count, size=(DRAWS, count)) + np.arange(DRAWS)[:, None] * count
        _kept[count] = np.bincount(drawn.ravel(), minlength=DRAWS * count).reshape(DRAWS, count).astype(np.float32)
    return _kept[count]


def slots_of(values: np.ndarray, names: np.ndarray) -> np.ndarray:
    """(P,) where each value stands among the sorted names, -1 for one that is none of them."""
    if not len(names):
        return np.full(len(values), -1)
    at = np.minimum(np.searchsorted(names, values), len(names) - 1)
    return np.where(names[at] == values, at, -1)
