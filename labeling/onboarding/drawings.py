"""A newcomer's practice and probation over time, drawn, and as lines of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from labeling.onboarding.reports import Day
from labeling.plots import Plot, line
from labeling.practice.feedback import Compared
from labeling.practice.models import PracticeAnswer

Tried = Sequence[tuple[PracticeAnswer, Compared | None]]
PRACTICE = (
    *("answered_at", "tour", "task", "attempt", "skipped", "pairs_agreed", "pairs", "ratings_fair", "ratings"),
    "active_seconds",
)
DAYS = ("day", "answers", "pairs_agreed", "pairs", "rate", "ci95_low", "ci95_high", "median_seconds")


def of_practice(tried: Tried) -> Plot:
    """Each answer to a practice task beside the reference, in their order."""
    order, ratings = [], []
    for number, (_row, compared) in enumerate(tried, start=1):
        if compared and compared.pairs:
            order.append((number, compared.agreed / compared.pairs))
        if compared and compared.ratings:
            ratings.append((number, compared.fair / compared.ratings))
    drawn = {_("Pairs as in the reference"): order, _("Ratings as good"): ratings}
    return line(
        _("Practice, answer by answer"),
        {name: points for name, points in drawn.items() if points},
        x=_("Answer to a practice task"),
        y=_("As the reference"),
        limits=(0, 1.02),
        percent=True,
    )


def of_days(days: Sequence[Day], *, researchers_seconds: float | None) -> list[Plot]:
    """Agreement with researchers and time at work by day of probation."""
    agreement, seconds = _("Agreement with researchers by day"), _("Seconds a task by day, median")
    rates = [(day.day, day.rate, *(day.interval or (None, None))) for day in days if day.rate is not None]
    researchers = (_("researchers"), researchers_seconds) if researchers_seconds is not None else None
    return [
        line(
            agreement,
            {agreement: rates} if rates else {},
            x=_("Day"),
            y=_("Agreement"),
            reference=(_("chance"), 0.5),
            limits=(0, 1.02),
            percent=True,
        ),
        line(
            seconds,
            {seconds: [(day.day, day.median_seconds) for day in days]} if days else {},
            x=_("Day"),
            y=_("Seconds"),
            reference=researchers,
            limits=(0, None),
        ),
    ]


def practice_rows(tried: Tried) -> Iterable[list]:
    """Under PRACTICE."""
    for row, compared in tried:
        found = (compared.agreed, compared.pairs, compared.fair, compared.ratings) if compared else (None,) * 4
        skipped = "yes" if "skipped" in row.answer else "no"
        answered = row.created_at.isoformat(timespec="seconds")
        yield [answered, row.tour.number, row.task, row.attempt, skipped, *found, row.active_seconds]


def day_rows(days: Sequence[Day]) -> Iterable[list]:
    """Under DAYS."""
    for day in days:
        yield [
            *(day.day.isoformat(), day.answers, day.agree, day.pairs, day.rate),
            *(day.interval or (None, None)),
            day.median_seconds,
        ]
