"""The order that all answers to a task make, put into the rows of a data set."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labeling.adjudication import consensus as orders
from labeling.exports.chosen import allowed
from labeling.exports.lines import Line
from labeling.exports.question import ALL, BRADLEY_TERRY
from labeling.rankings.models import Judgment, Ranking
from training.formats import CONSENSUS_VERSION


@dataclass(frozen=True)
class Behind:
    """One answer that a consensus is made of: the rank of each of its completions."""

    answer: str
    group: str
    ranks: dict[str, int]


def answers_behind(question: dict, tasks: set[str]) -> dict[str, list[Behind]]:
    """Of each task the labelers' answers that the question lets in, in one order."""
    answers = allowed(Ranking, question | {"answers": ALL}).filter(reason="", adjudicates=False, task__in=tasks)
    found: dict[uuid.UUID, Behind] = {}
    by_task: dict[str, list[Behind]] = defaultdict(list)
    for pk, task, group in answers.order_by("task", "created_at", "id").values_list("pk", "task_id", "group"):
        found[pk] = Behind(str(pk), group, {})
        by_task[str(task)].append(found[pk])
    judged = Judgment.objects.filter(ranking__in=list(found), rank__isnull=False)
    for ranking, completion, rank in judged.values_list("ranking_id", "completion_id", "rank"):
        found[ranking].ranks[str(completion)] = rank
    return by_task


def with_consensus(question: dict, lines: Sequence[tuple[Line, Sequence[Behind]]]) -> list[Line]:
    """Each line with the order that the answers behind it make of the completions that its row has and all of them
    ranked, and with where that came from. Strengths of all lines of one K are found together."""
    # Rows of one task have one consensus, unless a completion is left out of some.
    places: list[tuple] = []
    ready: dict[tuple, tuple[list[str], np.ndarray]] = {}
    for line, behind in lines:
        ids = [entry["id"] for entry in line.row["completions"]]
        shared = [one for one in ids if all(one in answer.ranks for answer in behind)] if behind else []
        places.append((id(behind), *shared))
        if places[-1] not in ready:
            ranks = np.array([[answer.ranks[one] for one in shared] for answer in behind], int)
            ready[places[-1]] = shared, ranks.reshape(len(behind), len(shared))
    method = question["consensus"]
    found = _strongest(list(ready.values())) if method == BRADLEY_TERRY else [_modal(*each) for each in ready.values()]
    said = {
        place: _as_json(method, ids, ranks, order)
        for (place, (ids, ranks)), order in zip(ready.items(), found, strict=True)
    }
    made = []
    for (line, behind), place in zip(lines, places, strict=True):
        line.row["consensus"] = said[place]
        made.append(
            replace(
                line,
                # With all answers each is in a row of its own.
                behind=() if question.get("answers", ALL) == ALL else tuple(each.answer for each in behind),
                groups=frozenset(each.group for each in behind),
            )
        )
    return made


def _as_json(method: str, ids: list[str], ranks: np.ndarray, order: orders.Order) -> dict:
    strengths = {} if order.strengths is None else dict(zip(ids, map(_rounded, order.strengths), strict=True))
    return {
        "method": method,
        "version": CONSENSUS_VERSION,
        "answers": len(ranks),
        "agreement": _rounded(orders.agreement_of(ranks)) if len(ids) > 1 else None,
        "by": order.by,
        "ranks": None if order.ranks is None else dict(zip(ids, map(int, order.ranks), strict=True)),
        **({"strengths": strengths} if strengths else {}),
    }


NOTHING = orders.Order(None, "nothing")


def _modal(ids: list[str], ranks: np.ndarray) -> orders.Order:
    return orders.modal(ranks) if len(ids) > 1 else NOTHING


def _strongest(ready: list[tuple[list[str], np.ndarray]]) -> list[orders.Order]:
    found = [NOTHING] * len(ready)
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, (ids, _ranks) in enumerate(ready):
        if len(ids) > 1:
            by_size[len(ids)].append(place)
    for places in by_size.values():
        wins = np.stack([orders.wins_of(ready[place][1]) for place in places])
        for place, strengths in zip(places, orders.strengths_of(wins), strict=True):
            found[place] = orders.Order(orders.order_of(strengths), "strength", strengths)
    return found


def _rounded(number: float | None) -> float | None:
    """As the file has it: what is beyond differs between machines. 0.0 has no sign."""
    return None if number is None else round(float(number), 4) + 0.0
