"""Take the tour: begin it, answer its practice tasks. What is answered here stays here."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.demos.services import read_answer as read_demonstration
from labeling.leasing.answers import REASON_CHARACTERS, BadAnswer, Head, check_key, digest_of
from labeling.leasing.models import Lease
from labeling.people.models import User
from labeling.practice.content import PracticeTask, practice_task, practice_tasks
from labeling.practice.models import PracticeAnswer, PracticeTour
from labeling.practice.queries import NO_SUCH_TOUR, latest_tour, next_attempt
from labeling.practice.seats import seat_at
from labeling.rankings.services import read_answer as read_ranking
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.text import check_text

SKIPPED = "skipped"


@transaction.atomic(durable=True)
def begin_tour(*, labeler: User) -> PracticeTour:
    """A tour of which nothing is answered yet: a new one, or the latest where that is such a one."""
    # Two clicks at once wait for each other here.
    User.objects.select_for_update(no_key=True).get(pk=labeler.pk)
    latest = latest_tour(labeler)
    if latest is not None and not latest.answers.exists():
        return latest
    return PracticeTour.objects.create(labeler=labeler, number=latest.number + 1 if latest else 1)


@transaction.atomic(durable=True)
def submit_practice(
    *, labeler: User, number: int, name: str, answer: Any, idempotency_key: str
) -> tuple[PracticeAnswer, bool]:
    """The stored answer to a practice task, and whether it is new: the same key with the same answer gets the first.

    `answer` is the submit body of a task of that kind, read as strictly. Raises BadAnswer for what is no complete
    answer, Conflict where the key was used for another one.
    """
    key = check_key(idempotency_key)
    task = practice_task(name)
    tour = _locked(labeler, number)
    earlier = tour.answers.filter(task=name, idempotency_key=key).first()
    # A repeat is read in the order in which its answer was, or it would look like another.
    attempt = earlier.attempt if earlier else next_attempt(tour, task)
    seat = seat_at(task, tour=tour, attempt=attempt)
    head, content = _read(task, seat, answer)
    if head.replaces is not None:
        raise BadAnswer(_("A practice answer is not corrected; leave `replaces` null, and try the task again."))
    digest = digest_of(content)
    if earlier is not None:
        if earlier.payload_sha256 != digest:
            raise Conflict(
                _("This answer was stored already, with other content. Open the task again to try once more.")
            )
        return earlier, False
    row = PracticeAnswer.objects.create(
        tour=tour,
        task=name,
        attempt=attempt,
        answer=content,
        order_shown=seat.order_shown,
        idempotency_key=key,
        payload_sha256=digest,
        # Nobody worked longer than the tour lasts.
        active_seconds=min(head.active_seconds, max(0, int(tour.age.total_seconds()))),
    )
    _finish(tour)
    return row, True


@transaction.atomic(durable=True)
def skip_practice(*, labeler: User, number: int, name: str, reason: Any) -> PracticeAnswer:
    """The practice task as skipped; it counts as seen. Skipping what was skipped last changes nothing."""
    if not isinstance(reason, str) or not 1 <= len(reason.strip()) <= REASON_CHARACTERS:
        raise Refusal(_("Say why you skip it, in 1 to {number} characters.").format(number=REASON_CHARACTERS))
    reason = check_text(reason, where=_("the reason")).strip()
    task = practice_task(name)
    tour = _locked(labeler, number)
    latest = tour.answers.filter(task=name).order_by("-attempt").first()
    if latest is not None and SKIPPED in latest.answer:
        return latest
    attempt = latest.attempt + 1 if latest else 1
    content = {SKIPPED: reason}
    row = PracticeAnswer.objects.create(
        tour=tour,
        task=task.name,
        attempt=attempt,
        answer=content,
        order_shown=seat_at(task, tour=tour, attempt=attempt).order_shown,
        # No key that somebody sends can be this one: those are ASCII.
        idempotency_key=f"{SKIPPED} № {attempt}",
        payload_sha256=digest_of(content),
    )
    _finish(tour)
    return row


def _locked(labeler: User, number: int) -> PracticeTour:
    """The labeler's own tour, with its `age` by the database's clock."""
    age = ExpressionWrapper(Now() - F("began_at"), output_field=DurationField())
    rows = PracticeTour.objects.select_for_update(of=("self",), no_key=True).select_related("labeler")
    tour = rows.annotate(age=age).filter(labeler=labeler.pk, number=number).first()
    if tour is None:
        raise NotFound(str(NO_SUCH_TOUR))
    return tour


def _read(task: PracticeTask, seat: Lease, answer: Any) -> tuple[Head, dict]:
    """Head and content of an answer, by the reader of its kind. Raises BadAnswer."""
    if task.kind == Batch.Kind.DEMONSTRATION:
        written = read_demonstration(answer, lease=seat)
        return written.head, {"text": written.text}
    read = read_ranking(answer, shown=seat.order_shown, form=task.definition)
    content = {
        "outcome": read.outcome,
        "completions": [
            {"id": one.id, "rank": one.rank, "rating": one.rating, "flags": one.flags, "values": one.values}
            for one in read.verdicts
        ],
        "strength": read.strength,
        "same": read.same,
        "by_ratings": read.by_ratings,
        "prompt": read.prompt,
        "note": read.note,
    }
    return read.head, content


def _finish(tour: PracticeTour) -> None:
    done = set(tour.answers.values_list("task", flat=True).distinct())
    if tour.finished_at is None and {task.name for task in practice_tasks()} <= done:
        PracticeTour.objects.filter(pk=tour.pk).update(finished_at=Now())
