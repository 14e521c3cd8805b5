"""Agreement of the rankings in the database, read as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from labeling.agreement.statistics import Tally
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Refusal
from labeling.sampling.models import Batch

CHUNK = 5000  # judgments read at a time


def chosen_rankings(*, batch: Batch | None = None, group: str = "", simulated: bool = False) -> QuerySet[Ranking]:
    """The newest revision of every ranking asked for. Simulated ones only when they are."""
    if group and group not in User.Group.values:
        raise Refusal(
            _("There is no labeler group {group!r}; choose among {values}.").format(
                group=group[:40], values=", ".join(User.Group.values)
            )
        )
    rankings = Ranking.objects.filter(replaced_by=None)
    if not simulated and group != User.Group.SIMULATED:
        rankings = rankings.exclude(group=User.Group.SIMULATED)
    if group:
        rankings = rankings.filter(group=group)
    if batch:
        rankings = rankings.filter(task__batch=batch)
    return rankings


def agreement(*, batch: Batch | None = None, group: str = "", simulated: bool = False) -> dict:
    """Agreement between the labelers who ranked the same task, with what it was computed from."""
    rankings = chosen_rankings(batch=batch, group=group, simulated=simulated)
    tally = Tally()
    for tasks in ranks_by_prompt(rankings):
        tally.add_prompt(tasks)
    counts = rankings.aggregate(rankings=Count("pk"), labelers=Count("labeler", distinct=True))
    return {
        "pairwise": tally.pairwise().as_json(),
        "ties_half": tally.ties_half().as_json(),
        "tasks": tally.tasks,
        "prompts": len(tally.by_prompt),
        **counts,
        "group": group or None,
        "batch": batch.pk if batch else None,
        "simulated": simulated or group == User.Group.SIMULATED,
    }


def ranks_by_prompt(rankings: QuerySet[Ranking]) -> Iterator[list[np.ndarray]]:
    """For each prompt its tasks with two rankings or more, each as (L, K) ranks, NaN where none was given."""
    several = rankings.order_by().values("task").annotate(count=Count("pk")).filter(count__gt=1).values("task")
    rows = (
        Judgment.objects.filter(
            rank__isnull=False, ranking__outcome=Ranking.Outcome.RANKED, ranking__in=rankings.filter(task__in=several)
        )
        .order_by("ranking__task__item__prompt", "ranking__task", "ranking", "completion")
        .values_list("ranking__task__item__prompt", "ranking__task", "ranking", "completion", "rank")
        .iterator(chunk_size=CHUNK)
    )
    for _prompt, of_prompt in groupby(rows, key=lambda row: row[0]):
        yield [_matrix(list(of_task)) for _task, of_task in groupby(of_prompt, key=lambda row: row[1])]


def _matrix(rows: list[tuple]) -> np.ndarray:
    rankings = {key: index for index, key in enumerate(dict.fromkeys(row[2] for row in rows))}
    completions = {key: index for index, key in enumerate(dict.fromkeys(row[3] for row in rows))}
    ranks = np.full((len(rankings), len(completions)), np.nan)
    for _prompt, _task, ranking, completion, rank in rows:
        ranks[rankings[ranking], completions[completion]] = rank
    return ranks


def agreement_by_group(*, batch: Batch | None = None) -> list[dict]:
    """Agreement within each labeler group that ranked anything, simulated ones marked as such by their name."""
    groups = Ranking.objects.filter(**({"task__batch": batch} if batch else {})).order_by("group")
    found = groups.values_list("group", flat=True).distinct()
    return [agreement(batch=batch, group=group, simulated=True) for group in found]
