"""What somebody's answers on probation say: agreement with researchers, how they used the scale, and their time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from labeling.agreement import pairs
from labeling.intervals import clustered_interval
from labeling.leasing.models import Lease
from labeling.onboarding.queries import given_on_probation
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.rankings.models import Judgment, Ranking

RATINGS = range(1, 8)
LISTED = 200  # answers that the page lists, the latest first


@dataclass(frozen=True)
class Day:
    """Of the answers of one day, in the team's time zone: pairs as in the report, and the median of their seconds."""

    day: date
    answers: int
    agree: int
    pairs: int
    interval: tuple[float, float] | None
    median_seconds: float

    @property
    def rate(self) -> float | None:
        return self.agree / self.pairs if self.pairs else None


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
    days: list[Day]

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
    by_task = _agreement(own, researchers)
    agree, counted = _columns(by_task.values())
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
        days=_days(leases, by_task),
    )


def _days(leases: list[Lease], by_task: dict[Any, tuple[int, int]]) -> list[Day]:
    zone = ZoneInfo(team_settings().time_zone)
    by_day: dict[date, list[Lease]] = defaultdict(list)
    for lease in leases:
        by_day[lease.ended_at.astimezone(zone).date()].append(lease)
    days = []
    for day, given in sorted(by_day.items()):
        agree, counted = _columns(by_task[lease.task_id] for lease in given if lease.task_id in by_task)
        days.append(
            Day(
                day=day,
                answers=len(given),
                agree=int(agree.sum()),
                pairs=int(counted.sum()),
                interval=clustered_interval(agree, counted) if counted.sum() else None,
                median_seconds=float(median(lease.active_seconds for lease in given)),
            )
        )
    return days


def _columns(pairs_of_tasks: Iterable[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """(T,) agreeing and (T,) counted pairs."""
    both = np.array(list(pairs_of_tasks), float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


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


def _agreement(own: dict, researchers: dict) -> dict[Any, tuple[int, int]]:
    """task → agreeing and counted pairs of completions, summed over its researchers; ties by either are left out, as
    everywhere (`agreement.pairs.compare`)."""
    found = {}
    for task, by_labeler in own.items():
        (mine,) = by_labeler.values()
        scalars = np.zeros(pairs.SCALARS)
        for theirs in researchers.get(task, {}).values():
            both = sorted(set(mine) & set(theirs))
            if len(both) < 2:
                continue
            first, second = (np.array([[ranks[one] for one in both]]) for ranks in (mine, theirs))
            scalars += pairs.compare(first, second)[0]
        found[task] = int(scalars[pairs.AGREE]), int(scalars[pairs.PAIRS])
    return found
