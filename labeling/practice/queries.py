"""How far somebody is on the tour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, OuterRef, Subquery, Sum
from django.utils.translation import gettext_lazy as _

from labeling.people.models import User
from labeling.practice.content import PracticeTask, practice_tasks
from labeling.practice.feedback import Compared, compare
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.refusals import NotFound


@dataclass(frozen=True)
class Stop:
    """One practice task within a tour, with the latest answer to it."""

    task: PracticeTask
    answer: PracticeAnswer | None


@dataclass(frozen=True)
class Standing:
    """What is known of a labeler and the tour. `tour` is the latest, `finished_at` when one was finished last,
    `active_seconds` the time at practice so far, in all tours."""

    tour: PracticeTour | None
    stops: list[Stop]
    finished_at: datetime | None
    active_seconds: int

    @property
    def done(self) -> int:
        return sum(stop.answer is not None for stop in self.stops)

    @property
    def next(self) -> PracticeTask | None:
        return next((stop.task for stop in self.stops if stop.answer is None), None)


NO_SUCH_TOUR = _("There is no such tour of yours; begin one on its own page.")


def get_tour(*, labeler: User, number: int) -> PracticeTour:
    tour = PracticeTour.objects.filter(labeler=labeler.pk, number=number).select_related("labeler").first()
    if tour is None:
        raise NotFound(str(NO_SUCH_TOUR))
    return tour


def latest_tour(labeler: User) -> PracticeTour | None:
    return PracticeTour.objects.filter(labeler=labeler.pk).order_by("-number").first()


def stops_of(tour: PracticeTour | None) -> list[Stop]:
    latest = {}
    if tour is not None:
        rows = tour.answers.order_by("task", "-attempt").distinct("task")
        latest = {answer.task: answer for answer in rows}
    return [Stop(task=task, answer=latest.get(task.name)) for task in practice_tasks()]


TRIED = 500


def tried_by(labeler: User) -> list[tuple[PracticeAnswer, Compared | None]]:
    """The labeler's answers to practice tasks, of all tours, oldest first, each beside the reference; None for what was
    skipped, was written, or is no longer packaged. The latest TRIED of them."""
    rows = PracticeAnswer.objects.filter(tour__labeler=labeler.pk).select_related("tour").order_by("-id")[:TRIED]
    tasks = {task.name: task for task in practice_tasks()}
    found = []
    for row in reversed(rows):
        task = tasks.get(row.task)
        ranked = task is not None and task.definition is not None and "completions" in row.answer
        found.append((row, compare(task, row.answer) if ranked else None))
    return found


def next_attempt(tour: PracticeTour, task: PracticeTask) -> int:
    return (tour.answers.filter(task=task.name).aggregate(last=Max("attempt"))["last"] or 0) + 1


def standing_of(labeler: User) -> Standing:
    """One statement for who has no tour, two for who has one."""
    finished = Max("labeler__practice_tours__finished_at")
    worked = PracticeAnswer.objects.filter(tour__labeler=OuterRef("labeler")).values("tour__labeler")
    tour = (
        PracticeTour.objects.filter(labeler=labeler.pk)
        .annotate(last_finished=finished, worked=Subquery(worked.annotate(sum=Sum("active_seconds")).values("sum")))
        .order_by("-number")
        .first()
    )
    return Standing(
        tour=tour,
        stops=stops_of(tour),
        finished_at=tour.last_finished if tour else None,
        active_seconds=tour.worked or 0 if tour else 0,
    )
