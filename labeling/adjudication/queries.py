"""What waits, why, and what was decided; and the answers to one task side by side, without their labelers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.db.models import Count, QuerySet, Sum
from django.utils.translation import gettext as _

from labeling.adjudication.models import (
    AdjudicationCase,
    AdjudicationReveal,
    AdjudicationRule,
    AdjudicationTally,
    Assessment,
)
from labeling.adjudication.services import Rule, answers_to, rules_of
from labeling.leasing.models import Lease, Task
from labeling.leasing.services import WITHHELD
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.refusals import Refusal
from labeling.sampling.models import Batch

State = AdjudicationCase.State
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ROWS_AT_ONCE = 500
COLUMNS = (
    *("task", "batch", "state", "disagreement", "answers", "pairs", "more_seats", "assessments", "looked_at"),
    *("decided_at", "outcome", "blind"),
)


def check_state(state: str) -> str:
    if state and state not in State.values:
        raise Refusal(
            _("There is no state {state!r}; choose among {states}.").format(
                state=state[:40], states=", ".join(State.values)
            )
        )
    return state


def cases(*, state: str = "", batch: Batch | None = None) -> QuerySet[AdjudicationCase]:
    rows = AdjudicationCase.objects.select_related("batch", "task__item__prompt", "outcome__lease__reveal")
    if check_state(state):
        rows = rows.filter(state=state)
    return rows.filter(batch=batch) if batch else rows


def cases_page(*, state: str, batch: Batch | None = None, after: str | None = None, size: int = 50) -> Page:
    """Cases of one state, the latest look first, each with `newest`, its newest assessment."""
    page = keyset_page(cases(state=state, batch=batch), order=("-looked_at", "task"), after=after, size=size)
    _add_newest(page.items)
    return page


def _add_newest(rows: list[AdjudicationCase]) -> None:
    found = Assessment.objects.filter(task__in=[row.pk for row in rows]).order_by("task", "-number").distinct("task")
    newest = {each.task_id: each for each in found}
    for row in rows:
        row.newest = newest.get(row.pk)


@dataclass(frozen=True)
class Shares:
    """Tasks whose answers were compared, and those of each state but agreed. `share` of them was decided."""

    looked: int
    more: int
    waiting: int
    contested: int
    decided: int

    @property
    def share(self) -> float | None:
        return self.decided / self.looked if self.looked else None


def shares(batch: Batch | None = None) -> Shares:
    """From the index of cases in disagreement alone, whatever number agreed."""
    tallies, rows = AdjudicationTally.objects.all(), AdjudicationCase.objects.exclude(state=State.AGREED)
    if batch:
        tallies, rows = tallies.filter(batch=batch), rows.filter(batch=batch)
    counts = dict(
        rows.filter(state__in=[State.MORE, State.WAITING, State.CONTESTED, State.DECIDED])
        .order_by()
        .values_list("state")
        .annotate(Count("pk"))
    )
    looked = tallies.aggregate(looked=Sum("looked", default=0))["looked"]
    return Shares(looked, *(counts.get(state, 0) for state in ("more", "waiting", "contested", "decided")))


def rows_of(*, state: str, batch: Batch | None) -> Iterator[list]:
    """The cells of COLUMNS, streamed; a pair is "1-2:0.667", of the answers in their order."""
    found = cases(state=state, batch=batch).order_by("-looked_at", "task").iterator(chunk_size=ROWS_AT_ONCE)
    while some := list(islice(found, ROWS_AT_ONCE)):
        _add_newest(some)
        for case in some:
            yield [
                *(str(case.pk), case.batch.name, case.state, case.disagreement),
                len(case.newest.answers) if case.newest else 0,
                "; ".join(_pair_text(pair) for pair in case.newest.pairs) if case.newest else "",
                case.opened,
                case.newest.number if case.newest else 0,
                case.looked_at.isoformat(),
                case.decided_at.isoformat() if case.decided_at else "",
                str(case.outcome_id or ""),
                "" if case.outcome_id is None else "yes" if was_blind(case.outcome) else "no",
            ]


def _pair_text(pair: dict) -> str:
    share = "-" if pair["disagreement"] is None else f"{pair['disagreement']:.3f}"
    return f"{pair['first'] + 1}-{pair['second'] + 1}:{share}"


def was_blind(outcome: Ranking) -> bool:
    """Whether it was given before its researcher saw the labelers' answers."""
    shown = getattr(outcome.lease, "reveal", None)
    return shown is None or shown.created_at > outcome.created_at


def team_rule() -> Rule:
    """What holds where a batch has no rule of its own."""
    found = AdjudicationRule.objects.filter(batch=None).first()
    return Rule(found.policy, found.threshold, found.seats, found.most) if found else Rule()


def rule_of(batch: Batch) -> tuple[Rule, bool]:
    """The rule that holds for `batch`, and whether it is its own."""
    return rules_of([batch])[batch.pk], AdjudicationRule.objects.filter(batch=batch).exists()


def may_see_answers(task: Task, person: User) -> bool:
    """Whether this member of staff is shown what labelers answered. A researcher who may yet decide is not, before
    they have asked for it where they decide."""
    if person.role == User.Role.ADMIN:
        return True
    if person.role != User.Role.RESEARCHER:
        return False
    if task.adjudication_case.state != State.WAITING:
        return True
    own = Lease.objects.filter(task=task, labeler=person).first()
    if own is None:
        return False
    return not own.adjudicates or AdjudicationReveal.objects.filter(lease=own).exists()


def completions_of(task: Task, order: list[str] | None = None) -> list[dict]:
    """{"id", "letter", "text"} of each completion, in `order` or one that is always the same."""
    found = {str(each.pk): each.text for each in task.item.completions.exclude(pk__in=WITHHELD).order_by("pk")}
    shown = [one for one in order or found if one in found]
    return [{"id": one, "letter": LETTERS[place], "text": found[one]} for place, one in enumerate(shown)]


def answers_side_by_side(task: Task, completions: list[dict]) -> list[dict]:
    """What each labeler of `task` said, as `said_of` has it, numbered from 1, by nobody's name."""
    answers = answers_to([task.pk]).prefetch_related("judgments")
    return [{"number": number, **said_of(answer, completions)} for number, answer in enumerate(answers, start=1)]


def said_of(answer: Ranking, completions: list[dict]) -> dict:
    """{"outcome", "note", "tiers", "cells"} of an answer: tiers are lists of letters, best first; a cell for each
    completion has its rank, rating and flags. An answer's own text of why it was corrected is not in it."""
    judged = {str(each.completion_id): each for each in answer.judgments.all()}
    cells = [
        {
            "letter": completion["letter"],
            "rank": judged[completion["id"]].rank if completion["id"] in judged else None,
            "rating": judged[completion["id"]].rating if completion["id"] in judged else None,
            "flags": judged[completion["id"]].flags if completion["id"] in judged else [],
        }
        for completion in completions
    ]
    ranks = sorted({cell["rank"] for cell in cells if cell["rank"] is not None})
    return {
        "outcome": answer.outcome,
        "note": answer.note,
        "tiers": [[cell["letter"] for cell in cells if cell["rank"] == rank] for rank in ranks],
        "cells": cells,
    }


def is_revealed(lease: Lease) -> bool:
    return AdjudicationReveal.objects.filter(lease=lease).exists()


def task_body(task: Task, person: User) -> dict:
    """A case as the API has it. `answers` is null for a researcher who may yet decide and has not asked for them."""
    case = task.adjudication_case
    completions = completions_of(task)
    return {
        **case_body(case),
        "messages": task.item.messages,
        "completions": completions,
        "answers": answers_side_by_side(task, completions) if may_see_answers(task, person) else None,
        "outcome": {"id": str(case.outcome_id), "blind": was_blind(case.outcome), **said_of(case.outcome, completions)}
        if case.outcome_id
        else None,
        "assessments": [
            {
                "number": each.number,
                "answers": len(each.answers),
                "disagreement": each.disagreement,
                "pairs": pairs_body(each),
                "rule": each.rule,
                "state": each.state,
                "opened": each.opened,
                "created_at": each.created_at.isoformat(),
            }
            for each in task.assessments.order_by("number")
        ],
    }


def case_body(case: AdjudicationCase) -> dict:
    return {
        "task": str(case.pk),
        "batch": case.batch.name,
        "state": case.state,
        "disagreement": case.disagreement,
        "more_seats": case.opened,
        "looked_at": case.looked_at.isoformat(),
        "decided_at": case.decided_at.isoformat() if case.decided_at else None,
        "outcome": str(case.outcome_id) if case.outcome_id else None,
    }


def pairs_body(assessment: Assessment) -> list[dict]:
    """The pairs of an assessment, its answers numbered from 1."""
    return [{**pair, "first": pair["first"] + 1, "second": pair["second"] + 1} for pair in assessment.pairs]
