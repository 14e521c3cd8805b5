"""What somebody's answers on probation say: agreement with researchers, how they used the scale, and their time."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from labeling.agreement import pairs
from labeling.intervals import clustered_interval
from labeling.leasing.models import Lease
from labeling.onboarding.queries import given_on_probation
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking

RATINGS = range(1, 8)
LISTED = 200  # answers that the page lists, the latest first


@dataclass(frozen=True)
class ProbationReport:
    """Of the answers in batches for probation since somebody's onboarding began.

    `pairs` are pairs of completions that both they and a researcher put in an order, `agree` those in the same one,
    with a 95 % interval drawn over tasks. Seconds are time at work. Ratings are counts of 1 to 7, researchers' of the
    same tasks.
    """

    answers: int
    skipped: int
    compared_tasks: int
    pairs: int
    agree: int
    interval: tuple[float, float] | None
    ratings: list[tuple[int, int, int]]  # (rating, theirs, researchers')
    median_seconds: float | None
    researchers_seconds: float | None
    leases: list[Lease]

    @property
    def rate(self) -> float | None:
        return self.agree / self.pairs if self.pairs else None


def report_of(person: User) -> ProbationReport:
    """A few hundred rows at most: what one person gives on probation, and what researchers gave to the same tasks."""
    given = given_on_probation(person)
    leases = list(given.select_related("task__batch", "task__item__prompt").order_by("-granted_at", "-id"))
    tasks = [lease.task_id for lease in leases]
    own, own_ratings = _judged(Ranking.objects.filter(lease__in=[lease.pk for lease in leases]))
    theirs = Ranking.objects.filter(task__in=tasks, group=User.Group.RESEARCHER, adjudicates=False).exclude(
        labeler=person.pk
    )
    researchers, their_ratings = _judged(theirs)
    agree, counted = _agreement(own, researchers)
    seconds = Lease.objects.filter(
        task__in=tasks, state=Lease.State.SUBMITTED, labeler__group=User.Group.RESEARCHER
    ).values_list("active_seconds", flat=True)
    interval = clustered_interval(agree, counted) if len(counted) else None
    return ProbationReport(
        answers=len(leases),
        skipped=Lease.objects.filter(
            labeler=person.pk,
            state=Lease.State.SKIPPED,
            granted_at__gte=person.onboarding_at,
            task__batch__probation=True,
        ).count(),
        compared_tasks=int((counted > 0).sum()),
        pairs=int(counted.sum()),
        agree=int(agree.sum()),
        interval=interval,
        ratings=[(rating, own_ratings[rating], their_ratings[rating]) for rating in RATINGS],
        median_seconds=_median([lease.active_seconds for lease in leases]),
        researchers_seconds=_median(list(seconds)),
        leases=leases[:LISTED],
    )


def _median(values: list[int]) -> float | None:
    return float(median(values)) if values else None


def _judged(rankings: Any) -> tuple[dict, Counter]:
    """task → labeler → completion → rank, of the newest revisions, and how often each rating was given."""
    ranks: dict = defaultdict(lambda: defaultdict(dict))
    ratings: Counter = Counter()
    rows = Judgment.objects.filter(ranking__in=rankings.filter(replaced_by=None))
    for task, labeler, completion, rank, rating in rows.values_list(
        "ranking__task", "ranking__labeler", "completion", "rank", "rating"
    ):
        if rank is not None:
            ranks[task][labeler][completion] = rank
        if rating is not None:
            ratings[rating] += 1
    return ranks, ratings


def _agreement(own: dict, researchers: dict) -> tuple[np.ndarray, np.ndarray]:
    """(T,) agreeing and (T,) counted pairs of completions at each task, summed over its researchers; ties by either are
    left out, as everywhere (`agreement.pairs.compare`)."""
    agree, counted = [], []
    for task, by_labeler in own.items():
        (mine,) = by_labeler.values()
        scalars = np.zeros(pairs.SCALARS)
        for theirs in researchers.get(task, {}).values():
            both = sorted(set(mine) & set(theirs))
            if len(both) < 2:
                continue
            first, second = (np.array([[ranks[one] for one in both]]) for ranks in (mine, theirs))
            scalars += pairs.compare(first, second)[0]
        agree.append(scalars[pairs.AGREE])
        counted.append(scalars[pairs.PAIRS])
    return np.array(agree), np.array(counted)
