"""Agreement of the rankings in the database, read as a stream, for all that one asks of it at once."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Count, Max, Min, QuerySet
from django.utils.translation import gettext as _

from labeling.agreement import reading
from labeling.agreement.pairs import GROUPS, HELD_OUT_WITH_TRAINING, SCALARS, SETS, WITH_RESEARCHERS, Layout, tables_of
from labeling.agreement.reading import USE_CASES, Chosen, Flags
from labeling.agreement.statistics import figures
from labeling.agreement.sums import Sums, slots_of
from labeling.forms.models import FormVersion
from labeling.people.models import WORKING_GROUPS, User
from labeling.people.queries import not_proven, team_settings
from labeling.rankings.models import Ranking
from labeling.refusals import Refusal
from labeling.sampling.models import Batch, BatchItem

MOST_WEEKS = 53  # the latest that are looked at one by one
MOST_LABELERS = 200  # those with most rankings
SET_NAMES = ("training", "held_out", "simulated", "researcher")


def check_group(group: str) -> None:
    if group and group not in WORKING_GROUPS:
        raise Refusal(
            _("There is no labeler group {group!r}; choose among {values}.").format(
                group=group[:40], values=", ".join(WORKING_GROUPS)
            )
        )


def chosen_rankings(*, batch: Batch | None = None, group: str = "", simulated: bool = False) -> QuerySet[Ranking]:
    """The newest revision of every ranking asked for. Simulated ones only when they are, decisions about what labelers
    disagree on never: whoever gave one may have seen their answers. Those of newcomers count once their onboarding is
    passed, before that only where a batch for probation is asked for by itself."""
    check_group(group)
    rankings = Ranking.objects.filter(replaced_by=None, adjudicates=False).exclude(group=User.Group.APPLICANT)
    if not simulated and group != User.Group.SIMULATED:
        rankings = rankings.exclude(group=User.Group.SIMULATED)
    if group:
        rankings = rankings.filter(group=group)
    if batch:
        rankings = rankings.filter(task__batch=batch)
    return rankings if counts_newcomers(batch) else rankings.exclude(not_proven())


def counts_newcomers(batch: Batch | None) -> bool:
    return batch is not None and batch.probation


def compared_rankings(*, batch: Batch | None = None, group: str = "", simulated: bool = False) -> QuerySet[Ranking]:
    """Those of `chosen_rankings` that are compared between labelers: planned repeats only where they are asked for."""
    rankings = chosen_rankings(batch=batch, group=group, simulated=simulated)
    return rankings if batch else rankings.filter(task__batch__repeat_of=None)


def agreement(*, batch: Batch | None = None, group: str = "", simulated: bool = False) -> dict:
    """Every statistic of agreement, in all cuts, with what it was computed from. Takes seconds where there is much."""
    rankings = chosen_rankings(batch=batch, group=group, simulated=simulated)
    chosen = Chosen(
        batch=batch.pk if batch else None,
        group=group,
        simulated=simulated,
        newcomers=counts_newcomers(batch),
        zone=team_settings().time_zone,
    )
    flags = reading.flags_of(dict(FormVersion.objects.values_list("pk", "definition")))
    # No rank is beyond the number of completions.
    most = max(2, BatchItem.objects.aggregate(most=Max("k"))["most"] or 0)
    layout = Layout(ranks=most, flags=len(flags.names))
    by_labeler = list(
        rankings.order_by()
        .values("labeler")
        .annotate(count=Count("pk"), first=Min("created_at"), last=Max("created_at"))
        .order_by("-count", "labeler")
    )
    people = np.sort(np.array([row["labeler"] for row in by_labeler[:MOST_LABELERS]], np.int64))
    return {
        **_between(chosen, flags, layout, people, _weeks(by_labeler, chosen.zone)),
        "self_consistency": _within(chosen, flags, layout),
        "rankings": sum(row["count"] for row in by_labeler),
        "labelers": len(by_labeler),
        "group": group or None,
        "batch": batch.pk if batch else None,
        "simulated": simulated or group == User.Group.SIMULATED,
        "zone": chosen.zone,
    }


def _between(chosen: Chosen, flags: Flags, layout: Layout, people: np.ndarray, weeks: np.ndarray) -> dict:
    everybody, sets = Sums(1, layout.width), Sums(SETS, layout.width)
    use_cases, by_week = Sums(len(USE_CASES), layout.width), Sums(len(weeks), layout.width)
    others, researchers = Sums(len(people), SCALARS), Sums(len(people), SCALARS)
    for judged in reading.between_labelers(chosen, flags):
        for table in tables_of(judged, layout):
            everybody.add(table, np.zeros(len(table.task), np.int64))
            sets.add(table, np.where(table.set < SETS, table.set, -1), in_set=True)
            use_cases.add(table, table.use_case)
            by_week.add(table, slots_of(table.week, weeks))
            first, second = slots_of(table.first, people), slots_of(table.second, people)
            others.add_both(table, first, second)
            researchers.add(table, np.where(table.set == WITH_RESEARCHERS, first, -1))
    names = flags.names

    def measured(sums: Sums, slot: int, *, alike: bool = True) -> dict:
        return figures(sums, slot, layout, names, alike=alike)

    found = measured(everybody, 0)
    return {
        **found,
        "groups": {SET_NAMES[slot]: measured(sets, slot) for slot in range(GROUPS) if sets.tasks[slot]},
        "with_researchers": measured(sets, WITH_RESEARCHERS, alike=False),
        "held_out_with_training": measured(sets, HELD_OUT_WITH_TRAINING, alike=False),
        "use_cases": {
            USE_CASES[slot]: measured(use_cases, slot) for slot in range(len(USE_CASES)) if use_cases.tasks[slot]
        },
        "weeks": {
            (date.fromisoformat(reading.MONDAY) + timedelta(weeks=int(week))).isoformat(): measured(by_week, slot)
            for slot, week in enumerate(weeks)
            if by_week.tasks[slot]
        },
        "by_labeler": [
            {
                "labeler": int(person),
                "others": figures(others, slot, alike=True),
                "researchers": figures(researchers, slot, alike=False),
            }
            for slot, person in enumerate(people)
            if others.tasks[slot]
        ],
    }


def _within(chosen: Chosen, flags: Flags, layout: Layout) -> dict:
    sums = Sums(1, layout.width)
    people = np.array(sorted(_repeaters(chosen)), np.int64)
    each = Sums(len(people), SCALARS)
    for judged in reading.within_labelers(chosen, flags):
        for table in tables_of(judged, layout):
            sums.add(table, np.zeros(len(table.task), np.int64))
            each.add(table, slots_of(table.first, people))
    return {
        **figures(sums, 0, layout, flags.names, alike=True),
        "by_labeler": [
            {"labeler": int(person), **figures(each, slot, alike=True)}
            for slot, person in enumerate(people)
            if each.tasks[slot]
        ],
    }


def _repeaters(chosen: Chosen) -> list[int]:
    repeats = Ranking.objects.filter(task__batch__repeat_of__isnull=False)
    return list(repeats.order_by().values_list("labeler", flat=True).distinct()[:MOST_LABELERS])


def _weeks(by_labeler: list[dict], zone: str) -> np.ndarray:
    """(W,) the weeks in which there were rankings, the latest MOST_WEEKS of them; week 0 begins on reading.MONDAY."""
    if not by_labeler:
        return np.empty(0, np.int64)
    monday = date.fromisoformat(reading.MONDAY)
    ends = (min(row["first"] for row in by_labeler), max(row["last"] for row in by_labeler))
    first, last = ((end.astimezone(ZoneInfo(zone)).date() - monday).days // 7 for end in ends)
    return np.arange(max(first, last - MOST_WEEKS + 1), last + 1)
