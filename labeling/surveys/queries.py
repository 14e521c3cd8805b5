"""Rounds as those who are asked see them, and reports as they may be shown."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.refusals import NotFound
from labeling.surveys.models import SurveyOptOut, SurveyPart, SurveyRound, SurveyTally
from labeling.surveys.wording import in_language

NAMED_TOGETHER = 4  # options that a row names one by one
LONG_LIST = 12  # options from which on a question is a list to choose from


def open_rounds() -> QuerySet[SurveyRound]:
    return SurveyRound.objects.filter(closed_at=None, closes_at__gt=Now())


def people_in(groups: Collection[str]) -> QuerySet[User]:
    """Who is asked where these groups are."""
    return User.objects.filter(is_active=True, group__in=groups).exclude(role=User.Role.ADMIN)


def rounds_for(person: User) -> QuerySet[SurveyRound]:
    """Open rounds that ask `person`, the next to close first, each with `mine`: answered, declined or None."""
    if person.role == User.Role.ADMIN:
        return SurveyRound.objects.none()
    mine = SurveyPart.objects.filter(round=OuterRef("pk"), person=person.pk).values("state")
    rows = open_rounds().filter(groups__contains=[person.group]).select_related("questionnaire")
    return rows.annotate(mine=Subquery(mine)).order_by("closes_at", "id")


def invited_to(person: User) -> SurveyRound | None:
    """The round that `person` is invited to on their work page: one at a time, and none where they want none."""
    if SurveyOptOut.objects.filter(person=person.pk).exists():
        return None
    return rounds_for(person).filter(mine=None).first()


def wants_invitations(person: User) -> bool:
    return not SurveyOptOut.objects.filter(person=person.pk).exists()


def get_round(round_id: uuid.UUID | str) -> SurveyRound:
    try:
        return SurveyRound.objects.select_related("questionnaire", "created_by").get(pk=uuid.UUID(str(round_id)))
    except (ValueError, SurveyRound.DoesNotExist):
        raise NotFound(_("There is no such survey.")) from None


def get_round_for(person: User, round_id: uuid.UUID | str) -> SurveyRound:
    """The round as somebody sees it whom it asks or asked; NotFound for everyone else."""
    held = get_round(round_id)
    if person.role == User.Role.ADMIN or person.group not in held.groups:
        raise NotFound(_("There is no such survey."))
    return held


def part_of(person: User, held: SurveyRound) -> str | None:
    """ "answered", "declined", or None."""
    return SurveyPart.objects.filter(round=held, person=person.pk).values_list("state", flat=True).first()


def rounds_page(*, after: str | None) -> Page:
    rows = SurveyRound.objects.select_related("questionnaire", "created_by")
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def answers_so_far(held: SurveyRound) -> int | None:
    """How many took part; None while they are fewer than may be shown."""
    if held.report is not None:
        return held.report["answered"]
    answered = SurveyTally.objects.filter(round=held).values_list("answered", flat=True).first() or 0
    return answered if answered >= held.minimum else None


def differs_by_few(held: SurveyRound) -> bool:
    """Whether fewer people than the minimum, but some, took part in this round alone, or in an earlier one alone whose
    results are shown: one table less the other would then be about them."""
    earlier = SurveyRound.objects.filter(questionnaire__name=held.questionnaire.name, report__withheld="")
    days = held.questionnaire.definition["compared_days"]
    if days is not None:
        earlier = earlier.filter(closed_at__gt=held.created_at - timedelta(days=days))
    here = _who_answered(held)
    for other in earlier.exclude(pk=held.pk):
        there = _who_answered(other)
        fewest = max(held.minimum, other.minimum)
        alone = (here.difference(there).count(), there.difference(here).count())
        if any(0 < number < fewest for number in alone):
            return True
    return False


def _who_answered(held: SurveyRound) -> QuerySet:
    return SurveyPart.objects.filter(round=held, state=SurveyPart.State.ANSWERED).order_by().values_list("person")


@dataclass(frozen=True)
class ShownRow:
    """`count` and `share` (of those who took part) are None where they are not shown."""

    label: str
    count: int | None
    share: float | None


@dataclass(frozen=True)
class ShownTable:
    name: str
    label: str
    several: bool
    rows: list[ShownRow]


def tables_of(held: SurveyRound) -> list[ShownTable]:
    """The report of a closed round in the reader's words, a table for each question."""
    report = held.report or {"tables": []}
    questions = {question["name"]: question for question in held.questionnaire.definition["questions"]}
    tables = []
    for table in report["tables"]:
        question = questions[table["name"]]
        labels = {value: in_language(label) for value, label in question["options"]}
        listed = table["rows"]
        if len(labels) > LONG_LIST:
            # Of a long list, what nobody chose is one row.
            empty = [option for row in listed if row["count"] == 0 for option in row["options"]]
            listed = [row for row in listed if row["count"] != 0] + [{"options": empty, "count": 0}] * bool(empty)
        rows = [
            ShownRow(
                label=_together([labels[option] for option in row["options"]], of=len(labels)),
                count=row["count"],
                share=None if row["count"] is None else row["count"] / report["answered"],
            )
            for row in listed
        ]
        several = question["kind"] == "several"
        tables.append(ShownTable(table["name"], in_language(question["label"]), several, rows))
    return tables


def _together(labels: list[str], *, of: int) -> str:
    if len(labels) == of:
        return _("All answers together")
    return _("All other answers") if len(labels) > NAMED_TOGETHER else " / ".join(labels)


def csv_of(held: SurveyRound) -> str:
    """What the page of a report shows, and nothing finer: a line for each row of its tables."""
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(["questionnaire", "version", "question", "answer", "people", "share"])
    for table in tables_of(held):
        for row in table.rows:
            share = "" if row.share is None else f"{row.share:.3f}"
            count = "" if row.count is None else row.count
            lines.writerow([held.questionnaire.name, held.questionnaire.version, table.label, row.label, count, share])
    return out.getvalue()
