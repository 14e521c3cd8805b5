"""Rounds, the way of applicants through them, and reports without names. A report is made from few rows when asked for:
one applicant's answers, and the researchers' to the same items."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from string import ascii_uppercase

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from labeling.demos.models import Demonstration
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease, Task
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound
from labeling.sampling.models import Batch, BatchItem, Completion, CompletionMark
from labeling.sampling.queries import waits_for_a_look, withheld
from labeling.screening import statistics
from labeling.screening.models import (
    Application,
    Gate,
    ScreeningDecision,
    ScreeningItem,
    ScreeningRound,
    Topic,
    TopicAnswer,
)

BUILT_IN_TOPICS = (
    gettext_noop("Sexual content"),
    gettext_noop("Violence"),
    gettext_noop("Self-harm and suicide"),
    gettext_noop("Drugs and crime"),
    gettext_noop("Illness and medicine"),
    gettext_noop("Politics"),
    gettext_noop("Religion"),
    gettext_noop("Women"),
    gettext_noop("LGBTQ people"),
    gettext_noop("Ethnic minorities"),
    gettext_noop("Migrants and refugees"),
    gettext_noop("People with disabilities"),
    gettext_noop("Older people"),
    gettext_noop("Children and adolescents"),
)
FINAL = ("training", "held_out", "reject")
# Whose word on what they can judge counts for the team.
TEAM = (User.Group.TRAINING, User.Group.HELD_OUT, User.Group.RESEARCHER)


# Rounds and items


def rounds_page(*, after: str | None) -> Page:
    rows = ScreeningRound.objects.annotate(applicants=Count("applications"))
    return keyset_page(rows, order=("-created_at", "-id"), after=after)


def get_round(round_id: int) -> ScreeningRound:
    held = ScreeningRound.objects.filter(pk=round_id).first()
    if held is None:
        raise NotFound(_("There is no such screening round."))
    return held


def items_of(held: ScreeningRound) -> QuerySet[ScreeningItem]:
    """In the order in which applicants meet them, each with `answers`: how many researchers have answered it."""
    answered = Count(
        "task__leases", filter=Q(task__leases__state="submitted", task__leases__labeler__group="researcher")
    )
    return held.items.select_related("prompt").annotate(answers=answered).order_by("gate", "id")


def candidate_items(gate: int) -> QuerySet[BatchItem]:
    """Filled items of ordinary batches whose completions can be flagged or ranked again."""
    least = 2 if gate == Gate.RANKINGS else 1
    filled = BatchItem.objects.filter(
        batch__kind=Batch.Kind.RANKING,
        batch__screening=False,
        batch__repeat_of=None,
        state=BatchItem.State.FILLED,
        prompt__state=Prompt.State.ACCEPTED,
    )
    shown = Count("completions", filter=~withheld_completions())
    return filled.annotate(found=shown).filter(found__gte=least).exclude(waits_for_a_look())


def withheld_completions() -> Exists:
    marks = CompletionMark.objects.filter(completion=OuterRef("completions"), state=CompletionMark.State.WITHHELD)
    return Exists(marks)


def candidate_prompts() -> QuerySet[Prompt]:
    return Prompt.objects.filter(state=Prompt.State.ACCEPTED)


def candidates_page(gate: int, *, batch: Batch | None, sensitive: bool, after: str | None) -> Page:
    """What may be taken into the gate: items of `batch`, or prompts, those marked sensitive where only they are asked
    for."""
    if gate == Gate.DEMONSTRATIONS:
        prompts = candidate_prompts().exclude(categories=[]) if sensitive else candidate_prompts()
        return keyset_page(prompts, order=("-created_at", "-id"), after=after)
    if batch is None:
        return Page(items=[], next=None)
    items = candidate_items(gate).filter(batch=batch).select_related("prompt")
    return keyset_page(items, order=("id",), after=after)


def source_batches() -> QuerySet[Batch]:
    return Batch.objects.filter(kind=Batch.Kind.RANKING, screening=False, repeat_of=None).order_by("-id")[:200]


# What applicants get


def tasks_of(person: User) -> QuerySet[Task]:
    """The tasks of the open round that an undecided applicant is in, gate by gate; for `leasing.apart`."""
    mine = Application.objects.filter(invitation__accepted_by=person.pk, outcome__in=["", "put_off"])
    tasks = Task.objects.filter(
        screening_item__round__in=mine.values("round"), screening_item__round__state=ScreeningRound.State.OPEN
    )
    if person.opted_out:
        tasks = tasks.exclude(item__prompt__categories__overlap=person.opted_out)
    return tasks.select_related("item__prompt", "batch").order_by("screening_item__gate", "screening_item__id")


def application_of(person: User) -> Application | None:
    return Application.objects.select_related("round").filter(invitation__accepted_by=person.pk).first()


@dataclass(frozen=True)
class Step:
    """How far an applicant is in one gate."""

    gate: int
    label: str
    done: int
    total: int

    @property
    def complete(self) -> bool:
        return self.total > 0 and self.done >= self.total


TOPICS_LABEL = gettext_noop("What you can judge")


def progress_of(application: Application, *, person_id: int | None) -> list[Step]:
    """The four gates in order; nothing done before somebody has come."""
    return progress_of_all([application], {application.pk: person_id})[application.pk]


def progress_of_all(
    applications: list[Application], people: dict[uuid.UUID, int | None]
) -> dict[uuid.UUID, list[Step]]:
    """The same of some applications, in a fixed number of queries. `people` has who came by each."""
    rounds = {application.round_id for application in applications}
    totals = dict.fromkeys(((held, gate.value) for held in rounds for gate in Gate), 0)
    counted = ScreeningItem.objects.filter(round__in=rounds).order_by().values_list("round", "gate")
    totals |= {(held, gate): count for held, gate, count in counted.annotate(count=Count("pk"))}
    who = {person for person in people.values() if person is not None}
    answered = Lease.objects.filter(
        labeler__in=who, state=Lease.State.SUBMITTED, task__screening_item__round__in=rounds
    )
    grouped = answered.order_by().values_list("labeler", "task__screening_item__round", "task__screening_item__gate")
    done = {(person, held, gate): count for person, held, gate, count in grouped.annotate(count=Count("pk"))}
    topics = Topic.objects.filter(active=True).count()
    said = TopicAnswer.objects.filter(person__in=who, topic__active=True).order_by().values_list("person")
    said_by = dict(said.annotate(count=Count("pk")))
    found = {}
    for application in applications:
        person = people[application.pk]
        steps = [
            Step(
                gate=gate.value,
                label=str(gate.label),
                done=done.get((person, application.round_id, gate.value), 0),
                total=totals[application.round_id, gate.value],
            )
            for gate in Gate
        ]
        found[application.pk] = [*steps, Step(4, _(TOPICS_LABEL), said_by.get(person, 0), topics)]
    return found


# What deciders see: nothing here names anybody


def get_application(application_id: uuid.UUID | str) -> Application:
    try:
        return Application.objects.select_related("round").get(pk=uuid.UUID(str(application_id)))
    except (ValueError, Application.DoesNotExist):
        raise NotFound(_("There is no such application.")) from None


def applications_page(held: ScreeningRound, *, after: str | None) -> Page:
    """Who has come, by code, each with its `steps`. Not in the order of the links, which would tell who is who."""
    came = held.applications.filter(invitation__accepted_by__isnull=False).select_related("round")
    page = keyset_page(came, order=("code",), after=after)
    people = dict(came.filter(pk__in=[one.pk for one in page]).values_list("pk", "invitation__accepted_by"))
    steps = progress_of_all(page.items, people)
    for application in page:
        application.steps = steps[application.pk]
    return page


def person_of(application: Application) -> int | None:
    """Whose application it is: for services and reports, never for a page."""
    return Application.objects.values_list("invitation__accepted_by", flat=True).get(pk=application.pk)


def decisions_of(application: Application) -> list[ScreeningDecision]:
    """Newest first, by what they revise."""
    rows = list(application.decisions.select_related("decided_by", "revises"))
    later = {row.revises_id: row for row in rows}
    ordered, at = [], None
    while at in later:
        ordered.append(later[at])
        at = later[at].pk
    return ordered[::-1]


@dataclass
class Said:
    """What somebody said of an item: by text's key its rank, or whether it is sensitive; and in words."""

    values: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    outcome: str = "ranked"


@dataclass
class ItemReport:
    """One item: what was shown, what the applicant and each researcher said, and how far they agree."""

    item: ScreeningItem
    texts: list[dict]  # {"key", "letter", "text"}; key "" stands for the prompt
    mine: Said | None
    theirs: list[Said]
    agree: int = 0
    pairs: int = 0
    demonstration: Demonstration | None = None
    grades: list[dict] = field(default_factory=list)  # shown once there are as many as the round asks for
    grade: float | None = None
    graded: int = 0

    @property
    def rows(self) -> list[dict]:
        """A line for each text: what the applicant said of it, and what each researcher did."""
        return [
            {
                **text,
                "mine": self.mine.words.get(text["key"], "") if self.mine else "",
                "theirs": [said.words.get(text["key"], "") for said in self.theirs],
            }
            for text in self.texts
        ]


@dataclass
class GateReport:
    gate: int
    label: str
    figure: statistics.Figure
    cutoff: float
    items: list[ItemReport]

    @property
    def reached(self) -> bool | None:
        """None where there is nothing to say yet. A mark; a person decides."""
        return None if self.figure.value is None else self.figure.value >= self.cutoff

    @property
    def unsure(self) -> bool:
        """The interval holds the cut-off: another sample of items might fall on its other side."""
        return self.figure.value is not None and self.figure.low <= self.cutoff <= self.figure.high


@dataclass
class Report:
    application: Application
    gates: list[GateReport]
    steps: list[Step]
    topics: list[tuple[str, bool | None]]


def report_on(application: Application) -> Report:
    """All four gates of one applicant. Answers count as they were when the applicant was first decided on: after that
    they may have read the researchers' answers."""
    held, person = application.round, person_of(application)
    first = application.decisions.filter(outcome__in=FINAL).order_by("decided_at").first()
    until = first.decided_at if first else None
    items = list(held.items.select_related("prompt", "task", "source").order_by("gate", "id"))
    shown = _texts_of(items)
    flags = _judged(items, shown, person, until, gate=Gate.FLAGS)
    rankings = _judged(items, shown, person, until, gate=Gate.RANKINGS)
    written = _graded(items, person, until, graders=held.graders)
    gates = []
    for gate, reports, cutoff in (
        (Gate.FLAGS, flags, held.flags_cutoff),
        (Gate.RANKINGS, rankings, held.rankings_cutoff),
        (Gate.DEMONSTRATIONS, written, held.grade_cutoff),
    ):
        if gate == Gate.DEMONSTRATIONS:
            figure = statistics.mean_grade([one.grade for one in reports if one.grade is not None])
        else:
            figure = statistics.share_of([one.agree for one in reports], [one.pairs for one in reports])
        gates.append(GateReport(gate.value, str(gate.label), figure, cutoff, reports))
    return Report(
        application=application,
        gates=gates,
        steps=progress_of(application, person_id=person),
        topics=topics_of(person) if person else [],
    )


def _texts_of(items: list[ScreeningItem]) -> dict[int, list[dict]]:
    """By item: the texts that are judged, with the letters by which the report names them."""
    of_task = {item.task.item_id: item.pk for item in items if item.task_id and item.gate != Gate.DEMONSTRATIONS}
    rows = defaultdict(list)
    found = Completion.objects.filter(item__in=of_task).exclude(withheld()).order_by("text_sha256")
    for completion in found:
        rows[of_task[completion.item_id]].append({"key": completion.text_sha256, "text": completion.text})
    for texts in rows.values():
        for letter, text in zip(ascii_uppercase, texts, strict=False):
            text["letter"] = letter
    return rows


def _judged(
    items: list[ScreeningItem], shown: dict, person: int | None, until: datetime | None, *, gate: Gate
) -> list[ItemReport]:
    chosen = [item for item in items if item.gate == gate]
    by_task = {item.task_id: item.pk for item in chosen if item.task_id}
    of_source = {item.source_id: item.pk for item in chosen}
    rows = Ranking.objects.select_related("form_version", "task").prefetch_related("judgments__completion")
    mine = rows.filter(task__in=by_task, labeler=person, group=User.Group.APPLICANT).order_by("revision")
    if until:
        mine = mine.filter(created_at__lte=until)
    said_by = {by_task[one.task_id]: _said(one, gate) for one in mine} if person else {}
    # The same researcher's answer counts once: that to the screening task before one to where it was taken from.
    theirs: dict[int, dict[int, Said]] = defaultdict(dict)
    researchers = rows.filter(group=User.Group.RESEARCHER, replaced_by=None)
    if gate == Gate.RANKINGS:
        for one in researchers.filter(task__item__in=of_source).order_by("created_at", "id"):
            theirs[of_source[one.task.item_id]][one.labeler_id] = _said(one, gate)
    for one in researchers.filter(task__in=by_task).order_by("created_at", "id"):
        theirs[by_task[one.task_id]][one.labeler_id] = _said(one, gate)
    reports = []
    for item in chosen:
        texts = list(shown.get(item.pk, []))
        if gate == Gate.FLAGS:
            texts.insert(0, {"key": "", "letter": "", "text": ""})
        report = ItemReport(item, texts, said_by.get(item.pk), list(theirs[item.pk].values()))
        compare = statistics.same_flags if gate == Gate.FLAGS else statistics.same_order
        for said in report.theirs if report.mine else []:
            agree, pairs = compare(report.mine.values, said.values)
            report.agree += agree
            report.pairs += pairs
        reports.append(report)
    return reports


def _said(ranking: Ranking, gate: Gate) -> Said:
    said = Said(outcome=ranking.outcome)
    definition = ranking.form_version.definition if ranking.form_version else {}
    if gate == Gate.FLAGS:
        labels = {each["name"]: each["label"] for part in ("completion", "prompt") for each in definition.get(part, [])}
        # A text is called sensitive by any of the form's flags: this form asks for nothing else.
        marked = {one.completion.text_sha256: one.flags for one in ranking.judgments.all()}
        if any(each["kind"] == "flag" for each in definition.get("prompt", [])):
            marked[""] = (ranking.prompt_fields or {}).get("flags", [])
        said.values = {key: bool(flags) for key, flags in marked.items()}
        said.words = {
            key: ", ".join(_(labels.get(flag, flag)) for flag in flags) or _("nothing sensitive")
            for key, flags in marked.items()
        }
    elif ranking.outcome == Ranking.Outcome.RANKED:
        said.values = {one.completion.text_sha256: one.rank for one in ranking.judgments.all() if one.rank is not None}
        said.words = {key: str(rank) for key, rank in said.values.items()}
    return said


def _graded(
    items: list[ScreeningItem], person: int | None, until: datetime | None, *, graders: int
) -> list[ItemReport]:
    chosen = [item for item in items if item.gate == Gate.DEMONSTRATIONS]
    by_task = {item.task_id: item.pk for item in chosen if item.task_id}
    rows = Demonstration.objects.prefetch_related("grades")
    mine = rows.filter(task__in=by_task, labeler=person, group=User.Group.APPLICANT).order_by("revision")
    if until:
        mine = mine.filter(created_at__lte=until)
    written = {by_task[one.task_id]: one for one in mine} if person else {}
    theirs = defaultdict(list)
    researchers = rows.filter(task__in=by_task, group=User.Group.RESEARCHER, replaced_by=None)
    for one in researchers.order_by("created_at", "id"):
        theirs[by_task[one.task_id]].append(Said(words={"": one.text}))
    reports = []
    for item in chosen:
        given = written.get(item.pk)
        report = ItemReport(item, [], None, theirs[item.pk], demonstration=given)
        if given is not None:
            grades = sorted(given.grades.all(), key=lambda grade: (grade.grade, grade.note))
            report.graded = len(grades)
            if len(grades) >= graders:
                report.grades = [{"grade": grade.grade, "note": grade.note} for grade in grades]
                report.grade = sum(grade.grade for grade in grades) / len(grades)
        reports.append(report)
    return reports


def report_rows(report: Report) -> Iterator[list]:
    """The report as lines of a CSV: a head, a line for each gate, and one for each item."""
    yield ["applicant", "gate", "item", "value", "ci95_low", "ci95_high", "method", "cutoff", "agree", "counted"]
    name = report.application.code
    for gate in report.gates:
        figure = gate.figure
        yield [name, gate.gate, "", figure.value, figure.low, figure.high, figure.method, gate.cutoff, "", figure.count]
        for one in gate.items:
            value = one.grade if gate.gate == Gate.DEMONSTRATIONS else one.agree / one.pairs if one.pairs else None
            counted = one.graded if gate.gate == Gate.DEMONSTRATIONS else one.pairs
            yield [name, gate.gate, str(one.item.prompt_id), value, "", "", "", "", one.agree, counted]


# Grading


def gradable() -> QuerySet[Demonstration]:
    """The newest revision of what applicants wrote."""
    written = Demonstration.objects.filter(group=User.Group.APPLICANT, replaced_by=None)
    return written.filter(task__screening_item__gate=Gate.DEMONSTRATIONS)


def to_grade(grader: User) -> QuerySet[Demonstration]:
    """What waits for a grade by `grader`: those that lack the fewest first, else in no order that tells anything."""
    waiting = gradable().exclude(grades__grader=grader.pk).annotate(given=Count("grades"))
    waiting = waiting.filter(given__lt=F("task__screening_item__round__graders"))
    return waiting.select_related("task__item__prompt", "task__screening_item").order_by("-given", "id")


# Topics


def topics_of(person_id: int) -> list[tuple[str, bool | None]]:
    """Each topic that is asked about, and whether the person can judge it; None where they have not said."""
    return [(one.shown, one.able) for one in topics_asked(person_id)]


def topics_asked(person_id: int) -> list[Topic]:
    said = dict(TopicAnswer.objects.filter(person=person_id).values_list("topic", "able"))
    topics = list(Topic.objects.filter(active=True).order_by("id"))
    for topic in topics:
        topic.able = said.get(topic.pk)
    return topics


def team() -> QuerySet[User]:
    """Who works here: applicants and programs do not."""
    return User.objects.filter(is_active=True, group__in=TEAM).exclude(role=User.Role.ADMIN)


def uncovered() -> list[Topic]:
    """The topics that nobody of the team says they can judge."""
    able = TopicAnswer.objects.filter(topic=OuterRef("pk"), able=True, person__in=team())
    return list(Topic.objects.filter(~Exists(able), active=True).order_by("id"))


def coverage_page(topics: list[Topic], *, after: str | None, size: int = 50) -> Page:
    """People by user name, each with `cells`: for each of `topics` True, False or None where they have not said."""
    page = keyset_page(team(), order=("username",), after=after, size=size)
    _fill(page.items, topics)
    return page


def coverage_rows() -> Iterator[list]:
    """The matrix as lines of a CSV: a head, what nobody covers, then a line for each person."""
    topics = list(Topic.objects.filter(active=True).order_by("id"))
    nobody = {topic.pk for topic in uncovered()}
    yield ["person", *(topic.name for topic in topics)]
    yield ["nobody covers", *("x" if topic.pk in nobody else "" for topic in topics)]
    after = None
    while True:
        page = coverage_page(topics, after=after, size=500)
        for person in page:
            yield [person.username, *({True: "yes", False: "no", None: ""}[cell] for cell in person.cells)]
        after = page.next
        if after is None:
            return


def _fill(people: list[User], topics: list[Topic]) -> None:
    said = {
        (person, topic): able
        for person, topic, able in TopicAnswer.objects.filter(person__in=people).values_list("person", "topic", "able")
    }
    for person in people:
        person.cells = [said.get((person.pk, topic.pk)) for topic in topics]
