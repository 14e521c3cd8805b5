"""What one line of a data set is, and what is counted of all of them."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

from django.conf import settings

# Tasks whose answers are kept to be compared with the next: memory stays flat, and answers to one task lie together.
REMEMBERED = 10_000
# What a row of ratings says of its completion.
OF_COMPLETION = ("id", "text", "model", "duplicates", "probability")
DIMENSIONS = ("split", "group", "batch", "source", "use_case", "k", "ties", "origin")


@dataclass
class Tally:
    """What went in, by everything that one asks of a data set, and what did not, by reason."""

    counts: dict[str, Counter] = field(default_factory=lambda: {name: Counter() for name in DIMENSIONS})
    labelers: Counter = field(default_factory=Counter)  # id → rows
    rows: int = 0
    pairs: int = 0  # of two completions that are not tied
    ties: int = 0  # of two completions that are
    exclusions: Counter = field(default_factory=Counter)
    words: Counter = field(default_factory=Counter)  # words of a prompt → rows
    # Pairs of completions that two answers to one task both order, and those ordered alike.
    compared: int = 0
    alike: int = 0
    tasks_compared: int = 0
    _seen: dict[str, list[dict[str, int]]] = field(default_factory=dict)

    def add_answer(self, task: str, ranks: dict[str, int]) -> None:
        """Compare an answer with those to its task that came within REMEMBERED tasks before it."""
        earlier = self._seen.get(task)
        if earlier is None:
            if len(self._seen) >= REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[task] = [ranks]
            return
        self.tasks_compared += len(earlier) == 1
        for other in earlier:
            both = [(rank, other[one]) for one, rank in ranks.items() if one in other]
            for (mine, theirs), (my_next, their_next) in combinations(both, 2):
                if mine != my_next and theirs != their_next:
                    self.compared += 1
                    self.alike += (mine < my_next) == (theirs < their_next)
        earlier.append(ranks)

    def add(self, **values: object) -> None:
        self.rows += 1
        counts = self.counts
        for name, value in values.items():
            counts[name][value] += 1

    def add_ranks(self, completions: list[dict]) -> None:
        """Count the pairs of one ranking."""
        count = len(completions)
        ranks = Counter([entry["rank"] for entry in completions])
        ties = 0 if len(ranks) == count else sum(number * (number - 1) // 2 for number in ranks.values())
        self.ties += ties
        self.pairs += count * (count - 1) // 2 - ties
        self.counts["ties"]["with ties" if ties else "without ties"] += 1

    def as_counts(self) -> dict:
        """For the manifest: rows in all and by each dimension that has any."""
        counts: dict[str, object] = {"rows": self.rows}
        if self.counts["ties"]:
            counts |= {"pairs": self.pairs, "tied_pairs": self.ties}
        if self.labelers:
            counts["labelers"] = len(self.labelers)
        return counts | {
            f"by_{name}": dict(sorted((str(value), number) for value, number in counter.items()))
            for name, counter in self.counts.items()
            if counter
        }


@dataclass(slots=True)
class Line:
    """One row of the data set, and what it comes from."""

    split: str
    row: dict
    answer: str | None  # the ranking or demonstration
    prompt: str
    review: uuid.UUID | None = None  # whose edit is in the row
    # What the row's consensus is made of besides, and their labelers' groups.
    behind: tuple[str, ...] = ()
    groups: Iterable[str] = ()


@lru_cache(maxsize=10_000)
def pseudonym(labeler_id: int) -> str:
    """The same for one person in every export of this installation; nobody gets back to them without its salt."""
    digest = hmac.new(settings.PROJECT_SALT.encode(), f"labeler:{labeler_id}".encode(), hashlib.sha256)
    return f"labeler-{digest.hexdigest()[:16]}"
