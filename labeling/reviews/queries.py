"""Reviews as their reviewer may read them, and as the author of what was reviewed may."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from labeling.demos.models import Demonstration, WrittenPrompt
from labeling.leasing.models import Lease, Task
from labeling.people.models import User
from labeling.reviews.models import Review
from labeling.sampling.models import Batch

Written = Demonstration | WrittenPrompt
# What can be reviewed → the review's field that names it.
FIELDS: dict[type[Written], str] = {Demonstration: "demonstration", WrittenPrompt: "written_prompt"}
# Nobody has more than a few; the oldest of these come first, and with each correction another moves up.
MOST_SENT_BACK = 20


def reviews_by(lease: Lease) -> list[Review]:
    """The labeler's reviews under this lease, oldest revision first."""
    return list(lease.reviews.order_by("revision"))


def content_of(review: Review) -> dict:
    """What was said, in the shape in which it was sent."""
    said = {"verdict": review.verdict, "text": review.text or None, "note": review.note}
    more = {"turns": review.turns, "pasted": review.pasted}
    return said | {name: value for name, value in more.items() if value}


def written_answer(task: Task) -> Written:
    """What a task of this kind is about."""
    # It has the brief of a prompt that was written.
    model = Demonstration if task.item.brief is None else WrittenPrompt
    return model.objects.get(pk=task.item.external_id)


def written_in(kind: str) -> type[Written]:
    """What is written in a batch or task of this kind."""
    return WrittenPrompt if kind == Batch.Kind.PROMPT else Demonstration


def that_count() -> QuerySet[Review]:
    """Of each written answer's reviews the one that counts."""
    return Review.objects.filter(surplus=False, replaced_by=None)


def reviews_of(answers: Iterable[Written]) -> dict[Written, Review]:
    """The review that counts of each of these answers that has one. Who reviewed is not for the author to read."""
    found: dict[Written, Review] = {}
    for model, field in FIELDS.items():
        by_pk = {answer.pk: answer for answer in answers if isinstance(answer, model)}
        reviews = that_count().filter(**{f"{field}__in": by_pk}).select_related(field) if by_pk else ()
        found |= {by_pk[review.written.pk]: review for review in reviews}
    return found


def sent_back_to(labeler: User) -> list[Review]:
    """What waits to be corrected by `labeler`, the longest waiting first, each with the lease it was written under."""
    leases = Lease.objects.filter(labeler=labeler.pk, sent_back=True).exclude(task__kind=Batch.Kind.RANKING)
    written, found = list(leases.order_by("ended_at")[:MOST_SENT_BACK]), []
    for model, field in FIELDS.items():
        latest = model.objects.filter(lease__in=written, replaced_by=None)
        found += that_count().filter(**{f"{field}__in": latest}).select_related(f"{field}__task__item__prompt")
    return sorted(found, key=lambda review: review.created_at)


def why_sent_back(lease: Lease) -> Review | None:
    """The review that sent the latest answer under `lease` back."""
    model = written_in(lease.task.kind)
    latest = model.objects.filter(lease=lease, replaced_by=None)
    return that_count().filter(**{f"{FIELDS[model]}__in": latest}, verdict=Review.Verdict.SEND_BACK).first()


@dataclass(frozen=True)
class OfAuthor:
    """How one author's answers in a batch were reviewed; each revision that was counts."""

    author: User
    reviewed: int
    accepted: int

    @property
    def share(self) -> float:
        return self.accepted / self.reviewed


@dataclass(frozen=True)
class Progress:
    """How far the reviews of a batch are: its answers, in their latest revision, by what became of them."""

    waiting: int
    accepted: int
    edited: int
    sent_back: int
    authors: list[OfAuthor]


def progress_of(batch: Batch) -> Progress:
    """Of a batch with `review`. Costs what its own answers and reviews cost, whatever else there is."""
    model = written_in(batch.kind)
    field = FIELDS[model]
    answers = model.objects.filter(task__batch=batch.pk)
    reviews = that_count().filter(task__batch__review_of=batch.pk)
    newer = Exists(model.objects.filter(replaces=OuterRef(field)))
    verdicts = dict(reviews.exclude(newer).order_by().values_list("verdict").annotate(Count("pk")))
    accepted = Count("pk", filter=Q(verdict=Review.Verdict.ACCEPT))
    counted = reviews.order_by().values_list(f"{field}__labeler").annotate(reviewed=Count("pk"), accepted=accepted)
    by_author = {pk: counts for pk, *counts in counted}
    people = User.objects.filter(pk__in=by_author).order_by("display_name", "username")
    return Progress(
        waiting=answers.filter(replaced_by=None).count() - sum(verdicts.values()),
        accepted=verdicts.get(Review.Verdict.ACCEPT, 0),
        edited=verdicts.get(Review.Verdict.EDIT, 0),
        sent_back=verdicts.get(Review.Verdict.SEND_BACK, 0),
        authors=[OfAuthor(person, *by_author[person.pk]) for person in people],
    )
