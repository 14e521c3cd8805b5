"""Where newcomers stand, as they see it themselves and as their team does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from labeling.guidelines.queries import has_read, newest_guideline
from labeling.leasing.models import Lease, Seat
from labeling.onboarding.models import UNDER_WAY, OnboardingEvent, OnboardingSettings
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.people.queries import get_person
from labeling.practice.models import PracticeTour
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import Batch

PAGE = 50
COLUMNS = ("user_name", "name", "step", "since", "answers", "wanted")


def onboarding_settings() -> OnboardingSettings:
    return OnboardingSettings.objects.first() or OnboardingSettings()


def has_finished_tour(person: User) -> bool:
    return PracticeTour.objects.filter(labeler=person.pk, finished_at__isnull=False).exists()


def given_on_probation(person: User) -> QuerySet[Lease]:
    """The tasks of batches for it that `person` answered since they began."""
    return Lease.objects.filter(
        labeler=person.pk,
        state=Lease.State.SUBMITTED,
        granted_at__gte=person.onboarding_at,
        task__batch__probation=True,
    )


def answers_on_probation(person: User) -> int:
    return given_on_probation(person).count()


@dataclass(frozen=True)
class Progress:
    """A newcomer's steps. `tour` is None where none is asked for."""

    step: str
    guidelines: bool
    tour: bool | None
    answers: int
    wanted: int
    waits: bool


def progress_of(person: User) -> Progress | None:
    """How far `person` is; None for who is not under way, without a look at anything."""
    if person.onboarding not in UNDER_WAY:
        return None
    figures, training = onboarding_settings(), person.onboarding == User.Onboarding.TRAINING
    newest = newest_guideline() if training else None
    return Progress(
        step=person.onboarding,
        guidelines=newest is None or has_read(labeler=person, guideline=newest),
        tour=None if not figures.tour else not training or has_finished_tour(person),
        answers=0 if training else answers_on_probation(person),
        wanted=person.probation_answers,
        waits=figures.waits,
    )


def people_at(step: str) -> QuerySet[User]:
    """Who is at `step`, each with `given`: how many answers on probation they gave."""
    if step not in User.Onboarding.values:
        raise Refusal(_("There is no step {step!r} of onboarding.").format(step=step[:40]))
    given = Lease.objects.filter(
        labeler=OuterRef("pk"),
        state=Lease.State.SUBMITTED,
        granted_at__gte=OuterRef("onboarding_at"),
        task__batch__probation=True,
    )
    number = given.order_by().values("labeler").annotate(number=Count("pk")).values("number")
    return User.objects.filter(onboarding=step).annotate(
        given=Coalesce(Subquery(number), 0, output_field=IntegerField())
    )


def people_page(step: str, *, after: str | None) -> Page:
    """Who is at `step`, the longest first."""
    return keyset_page(people_at(step), order=("onboarding_at", "id"), after=after, size=PAGE)


def people_rows(step: str) -> Iterator[tuple]:
    for person in people_at(step).order_by("onboarding_at", "id").iterator(chunk_size=500):
        since = person.onboarding_at.isoformat()
        yield person.username, person.display_name, person.onboarding, since, person.given, person.probation_answers


def counts_by_step() -> dict[str, int]:
    counts = dict(User.objects.exclude(onboarding="").order_by().values_list("onboarding").annotate(number=Count("pk")))
    return {step: counts.get(step, 0) for step in User.Onboarding.values}


def get_newcomer(user_id: int) -> User:
    """Somebody who has begun, with their latest reason; NotFound for everybody else."""
    person = get_person(user_id)
    if not person.onboarding:
        raise NotFound(_("{name} was never asked to be onboarded.").format(name=person.username))
    return person


def events_of(person: User) -> QuerySet[OnboardingEvent]:
    return OnboardingEvent.objects.filter(person=person.pk).select_related("actor").order_by("id")


def last_event() -> datetime | None:
    """When somebody last took a step, or was decided about."""
    return OnboardingEvent.objects.order_by("-id").values_list("created_at", flat=True).first()


def probation_batches() -> list[Batch]:
    """Batches that are served to who is on probation, each with the `free` seats for labelers that are left."""
    seats = Seat.objects.filter(batch=OuterRef("pk"), state=Seat.State.FREE).exclude(groups=[User.Group.RESEARCHER])
    free = seats.order_by().values("batch").annotate(number=Count("pk")).values("number")
    rows = Batch.objects.filter(probation=True).exclude(state=Batch.State.CLOSED).order_by("-priority", "id")
    return list(rows.annotate(free=Coalesce(Subquery(free), 0, output_field=IntegerField()))[:PAGE])
