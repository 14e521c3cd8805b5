"""Groups of similar prompts, for strategies that cover what there is: k centres among TF-IDF vectors, in one stream.

After the doubling algorithm of Charikar, Chekuri, Feder and Motwani (1997): whatever is farther than a radius from all
centres becomes one; when there are too many, the radius grows and centres that are now near each other are merged. The
radius grows by a fiftieth, not to twice of it: unit vectors are never farther apart than the square root of 2, so that
doubling would soon merge all. That gives up its bound. Memory holds the centres and one chunk.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from django.db.models.functions import Now

from labeling.intake.models import Prompt
from labeling.sampling.models import PromptSignal

GROUPS = 200
DIMENSIONS = 2**14  # of the hashed vectors
CHUNK = 500
GROWTH = 1.02
FARTHEST = 1.4  # a little less than two unit vectors without a common word
CHARACTERS = 2000  # of the last message
Beat = Callable[..., None]


class Centres:
    """At most `most` rows of unit length, far from each other."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows = None  # (k, D) sparse
        self.radius = 0.25  # Euclidean distance of unit vectors, 0 to sqrt 2

    def add(self, rows) -> None:
        """Sparse rows (N, D) of unit length."""
        from scipy.sparse import vstack

        if self.rows is None:
            self.rows = rows[:1]
        while True:
            far = self._distances(rows).min(1) > self.radius
            new = rows[far]
            if not new.shape[0]:
                return
            # Of those that are far from all centres, the first of each neighbourhood becomes one.
            new = new[: max(1, self.most)]
            kept = _spread(_between(new, new), self.radius)
            self.rows = vstack([self.rows, new[kept]]).tocsr()
            while self.rows.shape[0] > self.most:
                self.radius *= GROWTH
                if self.radius < FARTHEST:
                    merged = _spread(_between(self.rows, self.rows), self.radius)
                else:
                    # None of these share a word: any of them do, and no more come.
                    self.radius, merged = 2.0, list(range(self.most))
                self.rows = self.rows[merged]

    def nearest(self, rows) -> np.ndarray:
        """(N,) the number of each row's centre."""
        return self._distances(rows).argmin(1)

    def _distances(self, rows) -> np.ndarray:
        return _between(rows, self.rows)


def _between(one, other) -> np.ndarray:
    """(N, M) Euclidean distances of unit rows."""
    return np.sqrt(np.maximum(0, 2 - 2 * np.asarray((one @ other.T).todense())))


def _spread(distances: np.ndarray, least: float) -> list[int]:
    """Rows, first come first, each farther than `least` from those before it that stay."""
    kept: list[int] = []
    for at in range(len(distances)):
        if not kept or distances[at, kept].min() > least:
            kept.append(at)
    return kept


def group_prompts(*, beat: Beat = lambda **_: None, groups: int = GROUPS) -> int:
    """A signal GROUP for every accepted prompt; how many there are. Three passes: how rare each word is, centres,
    prompts to centres."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.preprocessing import normalize

    hashed = HashingVectorizer(n_features=DIMENSIONS, alternate_sign=False, norm=None)
    total = 3 * Prompt.objects.filter(state=Prompt.State.ACCEPTED).count()
    done, seen = 0, 0
    found_in = np.zeros(DIMENSIONS)
    for _ids, texts in _texts():
        found_in += np.bincount(hashed.transform(texts).indices, minlength=DIMENSIONS)
        seen, done = seen + len(texts), done + len(texts)
        beat(done=done, total=total, note="counting words")
    rare = np.log((1 + seen) / (1 + found_in)) + 1

    def vectors(texts: Sequence[str]):
        counted = hashed.transform(texts)
        counted.data = (1 + np.log(counted.data)) * rare[counted.indices]
        return normalize(counted)

    centres = Centres(groups)
    for _ids, texts in _texts():
        centres.add(vectors(texts))
        done += len(texts)
        beat(done=done, total=total, note="looking for groups")
    made_of = f"TF-IDF of {DIMENSIONS} hashed words, {0 if centres.rows is None else centres.rows.shape[0]} groups"
    for ids, texts in _texts():
        numbers = centres.nearest(vectors(texts))
        store_signals(PromptSignal.Kind.GROUP, zip(ids, numbers, strict=True), made_of=made_of)
        done += len(texts)
        beat(done=done, total=total, note="grouping")
    return 0 if centres.rows is None else centres.rows.shape[0]


def store_signals(kind: str, values, *, made_of: str) -> None:
    """(prompt, value) pairs in place of what was there of this kind."""
    PromptSignal.objects.bulk_create(
        [
            PromptSignal(prompt_id=pk, kind=kind, value=float(value), made_of=made_of[:500], made_at=Now())
            for pk, value in values
        ],
        update_conflicts=True,
        unique_fields=["kind", "prompt"],
        update_fields=["value", "made_of", "made_at"],
    )


def _texts() -> Iterator[tuple[list[uuid.UUID], list[str]]]:
    last = uuid.UUID(int=0)
    while True:
        rows = Prompt.objects.filter(state=Prompt.State.ACCEPTED, pk__gt=last).order_by("pk")
        chunk = list(rows.values_list("pk", "messages")[:CHUNK])
        if not chunk:
            return
        last = chunk[-1][0]
        yield [pk for pk, _messages in chunk], [messages[-1]["content"][:CHARACTERS] for _pk, messages in chunk]
