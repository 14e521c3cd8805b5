"""Completions that wait for a look, with what was found in them, for staff alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count, Exists, OuterRef, Prefetch, QuerySet

from labeling.paging import Page, keyset_page
from labeling.sampling.models import Completion, CompletionMark, MakerTerm, Provenance

WAITING = CompletionMark.State.WAITING
MOST_LISTED = 20  # terms that can be served together


@dataclass(frozen=True)
class Named:
    """A completion that waits, cut at its marks: `pieces` are (text, whether it is a name)."""

    completion: Completion
    marks: list[CompletionMark]
    pieces: list[tuple[str, bool]]
    models: list[str]


def waiting_page(*, batch: int | None = None, after: str | None = None, size: int = 20) -> Page:
    """Completions with a waiting mark, by the oldest of these."""
    waiting = CompletionMark.objects.filter(state=WAITING)
    older = waiting.filter(completion=OuterRef("completion"), pk__lt=OuterRef("pk"))
    first = waiting.filter(~Exists(older))
    if batch is not None:
        first = first.filter(completion__item__batch=batch)
    provenance = Prefetch("completion__provenance", Provenance.objects.order_by("id"))
    related = first.select_related("completion__item__batch", "completion__item__prompt").prefetch_related(provenance)
    page = keyset_page(related, order=("id",), after=after, size=size)
    marks = defaultdict(list)
    found = [mark.completion_id for mark in page]
    for mark in CompletionMark.objects.filter(completion__in=found, state=WAITING).order_by("start", "end"):
        marks[mark.completion_id].append(mark)
    return Page(items=[_named(mark.completion, marks[mark.completion_id]) for mark in page], next=page.next)


def _named(completion: Completion, marks: list[CompletionMark]) -> Named:
    pieces, place = [], 0
    for mark in marks:
        start, end = max(mark.start, place), mark.end
        if end > start:
            pieces += [(completion.text[place:start], False), (completion.text[start:end], True)]
            place = end
    pieces.append((completion.text[place:], False))
    models = list(dict.fromkeys(entry.model for entry in completion.provenance.all()))
    return Named(completion, marks, [piece for piece in pieces if piece[0]], models)


def waiting_terms() -> list[dict]:
    """The terms that most completions wait for, [{"term", "completions"}]."""
    counted = CompletionMark.objects.filter(state=WAITING).order_by().values("term")
    return list(
        counted.annotate(completions=Count("completion", distinct=True)).order_by("-completions", "term")[:MOST_LISTED]
    )


def waiting_marks() -> QuerySet[CompletionMark]:
    return CompletionMark.objects.filter(state=WAITING)


def terms_page(*, after: str | None = None, size: int = 50) -> Page:
    """Terms, the newest first."""
    return keyset_page(MakerTerm.objects.select_related("added_by"), order=("-id",), after=after, size=size)
