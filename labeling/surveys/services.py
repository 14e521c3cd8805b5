"""Open survey rounds, count answers, close rounds. Nothing here writes down who answered what."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.refusals import Conflict, NotAllowed, Refusal
from labeling.rows import first_row
from labeling.surveys import queries
from labeling.surveys.built_in import BUILT_IN, UNSAID
from labeling.surveys.models import SurveyOptOut, SurveyPart, SurveyQuestionnaire, SurveyRound, SurveyTally
from labeling.surveys.suppression import shown_rows
from labeling.text import check_text

TITLE_CHARACTERS = 120
LONGEST = 180  # days that a round may be open
GROUPS = (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.RESEARCHER)
# The new counts as a parameter: PostgreSQL writes those into no log and shows them to nobody who looks at its sessions.
COUNT = """
    UPDATE labeling_surveytally SET answered = answered + 1, counts = %(counts)s::jsonb
    WHERE round_id = %(round)s::uuid RETURNING answered
"""


class RoundClosed(Conflict):
    """No answers are taken any more."""

    code = "survey_closed"


class AnsweredAlready(Conflict):
    """One answer for each person and round."""

    code = "survey_answered"


@transaction.atomic
def ensure_built_in() -> None:
    """Make the versions of the built-in questionnaires that are not there."""
    for name, (_title, _purpose, versions) in BUILT_IN.items():
        for version, definition in enumerate(versions, start=1):
            SurveyQuestionnaire.objects.get_or_create(name=name, version=version, defaults={"definition": definition})


@transaction.atomic(durable=True)
def open_round(*, questionnaire: str, title: Any, groups: Collection[str], closes_on: date, actor: User) -> SurveyRound:
    """A round of the newest version of `questionnaire`, open until the end of the day `closes_on` where the team is.

    Refusal for what is no round, and where fewer people are asked than may be shown. Conflict where one of the groups
    is asked the same already.
    """
    asked = _read_groups(groups)
    title = _read_title(title)
    figures = team_settings()
    closes_at = _read_end(closes_on, figures.time_zone)
    version = SurveyQuestionnaire.objects.filter(name=questionnaire).order_by("-version").first()
    if version is None:
        raise Refusal(
            _("There is no questionnaire {name!r}; choose among {names}.").format(
                name=str(questionnaire)[:40], names=", ".join(BUILT_IN)
            )
        )
    # Two admins who open at once: the second waits here, for rows that are always there.
    list(User.objects.select_for_update().filter(role=User.Role.ADMIN).order_by("pk").values_list("pk"))
    people = queries.people_in(asked).count()
    if people < figures.survey_minimum:
        words = _(
            "These groups have {people} people, and results are shown from {minimum} answers on; ask more groups, or "
            "wait until the team is larger."
        )
        raise Refusal(words.format(people=people, minimum=figures.survey_minimum))
    if queries.open_rounds().filter(questionnaire__name=questionnaire, groups__overlap=asked).exists():
        raise Conflict(_("One of these groups is asked the same at the moment; close that round first."))
    made = SurveyRound.objects.create(
        questionnaire=version,
        title=title,
        groups=asked,
        minimum=figures.survey_minimum,
        created_by=actor,
        closes_at=closes_at,
    )
    counts = {
        question["name"]: {value: 0 for value, _label in question["options"]}
        for question in version.definition["questions"]
    }
    SurveyTally.objects.create(round=made, counts=counts)
    record(actor=actor, action="survey.opened", subject=made, questionnaire=questionnaire, groups=asked, title=title)
    return made


@transaction.atomic(durable=True)
def answer_round(*, round_id: uuid.UUID | str, person: User, answers: Mapping[str, Collection[str]]) -> None:
    """Count `answers` (question → options), and note that `person` has taken part. What is left out is not said.

    Raises NotFound where nobody asked them, RoundClosed, AnsweredAlready, Refusal for an option that was not offered.
    """
    held = _locked_for(person, round_id)
    read = read_answers(held.questionnaire.definition, answers)
    part, made = SurveyPart.objects.get_or_create(
        round=held, person=person, defaults={"state": SurveyPart.State.ANSWERED}
    )
    if not made:
        if part.state == SurveyPart.State.ANSWERED:
            raise AnsweredAlready(_("Your answers to this survey are in already; each person answers once."))
        part.state = SurveyPart.State.ANSWERED
        part.save(update_fields=["state"])
    counts = SurveyTally.objects.get(round=held).counts
    for question, options in read.items():
        for option in options:
            counts[question][option] += 1
    first_row(COUNT, {"counts": json.dumps(counts), "round": str(held.pk)})


@transaction.atomic(durable=True)
def decline_round(*, round_id: uuid.UUID | str, person: User) -> None:
    """The invitation to this round is gone for good. Who has answered has answered."""
    held = _locked_for(person, round_id)
    SurveyPart.objects.get_or_create(round=held, person=person, defaults={"state": SurveyPart.State.DECLINED})


def set_invitations(*, person: User, wanted: bool) -> None:
    """Whether `person` is invited to surveys from now on; they may take part either way."""
    if wanted:
        SurveyOptOut.objects.filter(person=person).delete()
    else:
        SurveyOptOut.objects.get_or_create(person=person)


@transaction.atomic(durable=True)
def close_round(*, round_id: uuid.UUID | str, actor: User | None) -> SurveyRound:
    """The closed round with its report; the counts that it was made from are gone. Closing twice is closing once."""
    # Rounds that close at once would each not see the other's report: they close one after the other.
    list(SurveyQuestionnaire.objects.select_for_update().order_by("pk").values_list("pk"))
    queries.get_round(round_id)
    held = SurveyRound.objects.select_for_update().select_related("questionnaire").get(pk=round_id)
    if held.closed_at is None:
        report = report_of(held)
        SurveyRound.objects.filter(pk=held.pk).update(closed_at=Now(), report=report)
        held.refresh_from_db()
        record(actor=actor, action="survey.closed", subject=held)
    return held


def close_due() -> int:
    """Close the rounds whose time is over; how many. Two at once do no harm."""
    due = list(SurveyRound.objects.filter(closed_at=None, closes_at__lte=Now()).values_list("pk", flat=True))
    for pk in due:
        close_round(round_id=pk, actor=None)
    return len(due)


def report_of(held: SurveyRound) -> dict[str, Any]:
    """All that will ever be shown of a round: {"asked", "answered", "withheld", "tables": [{"name", "rows":
    [{"options", "count"}]}]}. The one place that reads the counts; `shown_rows` says what may leave it."""
    tally = SurveyTally.objects.get(round=held)
    report: dict[str, Any] = {"asked": queries.people_in(held.groups).count(), "answered": None, "tables": []}
    if tally.answered < held.minimum:
        return {**report, "withheld": "too_few"}
    report["answered"] = tally.answered
    if queries.differs_by_few(held):
        return {**report, "withheld": "too_alike"}
    for question in held.questionnaire.definition["questions"]:
        counts = {value: tally.counts[question["name"]][value] for value, _label in question["options"]}
        rows = shown_rows(kind=question["kind"], counts=counts, answered=tally.answered, minimum=held.minimum)
        report["tables"].append(
            {"name": question["name"], "rows": [{"options": list(row.options), "count": row.count} for row in rows]}
        )
    return {**report, "withheld": ""}


def read_answers(definition: Mapping[str, Any], answers: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The options chosen of every question; UNSAID alone where nothing was, or where it was among them. Refusal."""
    questions = {question["name"]: question for question in definition["questions"]}
    unknown = set(answers) - set(questions)
    if unknown:
        raise Refusal(_("There is no question {name!r} in this survey.").format(name=sorted(unknown)[0][:40]))
    read = {}
    for name, question in questions.items():
        chosen = sorted(set(answers.get(name, ())))
        odd = set(chosen) - {value for value, _label in question["options"]}
        if odd:
            # What was sent is not repeated: it may be somebody's answer.
            raise Refusal(_("{name} got an answer that was not offered; choose among those shown.").format(name=name))
        if UNSAID in chosen or not chosen:
            chosen = [UNSAID]
        if len(chosen) > 1 and question["kind"] != "several":
            raise Refusal(_("{name} takes one answer.").format(name=name))
        read[name] = chosen
    return read


def _locked_for(person: User, round_id: uuid.UUID | str) -> SurveyRound:
    """The round, locked, for somebody whom it asks and while it takes answers, by the database's clock."""
    queries.get_round_for(person, round_id)
    rows = SurveyRound.objects.select_for_update(of=("self",)).select_related("questionnaire")
    held = rows.filter(pk=round_id, closed_at=None, closes_at__gt=Now()).first()
    if held is None:
        raise RoundClosed(_("This survey has closed; no more answers are taken."))
    if person.group not in held.groups:
        raise NotAllowed(_("This survey asks others."))
    return held


def _read_groups(groups: Collection[str]) -> list[str]:
    asked = [str(group) for group in GROUPS if group in set(groups)]
    if not asked or len(asked) != len(set(groups)):
        raise Refusal(_("Ask one or more of the groups {groups}.").format(groups=", ".join(GROUPS)))
    return asked


def _read_title(title: Any) -> str:
    if not isinstance(title, str) or not title.strip():
        raise Refusal(_("Give the round a title; those who are asked see it."))
    title = check_text(title, where=_("the title")).strip()
    if len(title) > TITLE_CHARACTERS:
        raise Refusal(_("A title has at most {most} characters; shorten it.").format(most=TITLE_CHARACTERS))
    return title


def _read_end(closes_on: date, time_zone: str) -> datetime:
    zone = ZoneInfo(time_zone)
    today = timezone.now().astimezone(zone).date()
    if not today <= closes_on <= today + timedelta(days=LONGEST):
        words = _("A round closes today or later, and within {days} days; {day} is not among these.")
        raise Refusal(words.format(days=LONGEST, day=closes_on.isoformat()))
    return datetime.combine(closes_on + timedelta(days=1), time.min, tzinfo=zone)
