"""What a figure says, in a sentence that needs no statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.quality.models import QualityReport
from labeling.quality.reports import HURRY, KINDS, LEAST_PROMPTS

TITLES = {
    "skill": gettext_lazy("Agreement with colleagues"),
    "place": gettext_lazy("Place while reading"),
    "place_ranked": gettext_lazy("Place while ranking"),
    "length": gettext_lazy("Length"),
    "markdown": gettext_lazy("Markdown"),
    "model": gettext_lazy("Model"),
    "rating_spread": gettext_lazy("Spread of ratings"),
    "rating_ceiling": gettext_lazy("Highest rating"),
    "speed": gettext_lazy("Pace"),
    "hurry": gettext_lazy("Too fast to have read"),
    "straight": gettext_lazy("Straight-lining"),
    "contradiction": gettext_lazy("Ratings against order"),
    "pasted": gettext_lazy("Pasted text"),
}
# About one labeler; {reference} is what colleagues have.
ONE = {
    "skill": gettext_lazy("Orders two completions as most colleagues did in {value}; colleagues do in {reference}."),
    "place": gettext_lazy(
        "Of two equally good completions prefers the one shown first to the one shown last in {value}."
    ),
    "place_ranked": gettext_lazy(
        "Of two equally good completions prefers the one at the top of the list to be ranked to the last in {value}."
    ),
    "length": gettext_lazy("Of two completions equally good to colleagues prefers the one twice as long in {value}."),
    "markdown": gettext_lazy("Of two completions equally good to colleagues prefers the one with Markdown in {value}."),
    "model": gettext_lazy("Of two completions equally good to colleagues prefers the one by {model} in {value}."),
    "rating_spread": gettext_lazy("Ratings spread by {value} points, those of colleagues by {reference}."),
    "rating_ceiling": gettext_lazy("Gives the highest rating to {value} of completions, colleagues to {reference}."),
    "speed": gettext_lazy("Takes {value} seconds for a hundred words, colleagues take {reference}."),
    "hurry": gettext_lazy(
        "In {value} of rankings is over {times} times as fast as colleagues usually are; colleagues are in {reference}."
    ),
    "straight": gettext_lazy(
        "In {value} of rankings all ratings are the same, all ranks are, or the order is just the one shown; "
        "of colleagues {reference}."
    ),
    "contradiction": gettext_lazy(
        "Ratings say the opposite of the order in {value} of pairs, those of colleagues in {reference}."
    ),
    "pasted": gettext_lazy("Pasted {value} of what was written, colleagues {reference}."),
}
ALL = {
    "skill": gettext_lazy("Labelers order two completions as most of their colleagues did in {value}."),
    "place": gettext_lazy(
        "Of two equally good completions the one shown first is preferred to the one shown last in {value}."
    ),
    "place_ranked": gettext_lazy(
        "Of two equally good completions the one at the top of the list to be ranked is preferred to the last in "
        "{value}."
    ),
    "length": gettext_lazy(
        "Of two completions the one twice as long is preferred in {value}; it may be the better one."
    ),
    "markdown": gettext_lazy(
        "Of two completions the one with Markdown is preferred in {value}; it may be the better one."
    ),
    "model": gettext_lazy("Of two completions the one by {model} is preferred in {value}; it may be the better one."),
    "rating_spread": gettext_lazy("The ratings of a labeler spread by {value} points."),
    "rating_ceiling": gettext_lazy("{value} of completions get the highest rating."),
    "speed": gettext_lazy("A labeler takes {value} seconds for a hundred words."),
    "hurry": gettext_lazy("{value} of rankings are over {times} times as fast as colleagues usually are."),
    "straight": gettext_lazy(
        "In {value} of rankings all ratings are the same, all ranks are, or the order is just the one shown."
    ),
    "contradiction": gettext_lazy("Ratings say the opposite of the order in {value} of pairs."),
    "pasted": gettext_lazy("{value} of what was written was pasted."),
}


@dataclass(frozen=True)
class Said:
    """A report as people read it. `interval` is the effect's, in the words of its unit."""

    report: QualityReport
    title: str
    value: str
    effect: str
    interval: str
    sentence: str

    @property
    def marked(self) -> bool:
        return self.report.marked


def say(report: QualityReport) -> Said:
    return Said(
        report=report,
        title=str(TITLES[report.kind]),
        value=figure(report.kind, report.value),
        effect=difference(report.kind, report.effect),
        interval=interval(report),
        sentence=sentence(report),
    )


def sentence(report: QualityReport) -> str:
    if report.value is None:
        return _("Too little to say: it takes answers to at least {count} prompts.").format(count=LEAST_PROMPTS)
    form = (ALL if report.labeler_id is None else ONE)[report.kind]
    said = str(form).format(
        value=figure(report.kind, report.value),
        reference=figure(report.kind, report.reference),
        model=report.detail.get("model", ""),
        times=HURRY,
    )
    return f"{said} {_tail(report)}".strip()


def _tail(report: QualityReport) -> str:
    if report.labeler_id is None:
        return ""
    if report.effect is None:
        return _("There is nobody to compare with.")
    if report.marked:
        return _("That stands out.")
    if report.low <= 0 <= report.high:
        return _("That is within chance.")
    return _("That is small, or to be expected among so many looks.")


def figure(kind: str, value: float | None) -> str:
    """A value in its unit: a share, points, seconds."""
    if value is None:
        return "–"
    if KINDS[kind].unit == "share":
        return _percent(value)
    return number_format(round(value, 2 if abs(value) < 10 else 1), 2 if abs(value) < 10 else 1)


def difference(kind: str, effect: float | None) -> str:
    """An effect: percentage points, points of the scale, or how many times as much."""
    return "–" if effect is None else _with_unit(kind, _bare(kind, effect))


def interval(report: QualityReport) -> str:
    """Of the effect; of the value where there is nothing that it is compared with."""
    if report.low is None:
        return "–"
    kind, low, high = report.kind, report.low, report.high
    if report.effect is None:
        return _("{low} to {high}").format(low=figure(kind, low), high=figure(kind, high))
    return _with_unit(kind, _("{low} to {high}").format(low=_bare(kind, low), high=_bare(kind, high)))


def _bare(kind: str, effect: float) -> str:
    if KINDS[kind].unit == "times":
        return number_format(round(math.exp(effect), 2), 2)
    return _signed(100 * effect, 1) if KINDS[kind].unit == "share" else _signed(effect, 2)


def _with_unit(kind: str, said: str) -> str:
    """Percentage points are short, since they stand in each row."""
    if KINDS[kind].unit == "times":
        return _("{times} times").format(times=said)
    return _("{points} pp").format(points=said) if KINDS[kind].unit == "share" else said


def _percent(value: float) -> str:
    return f"{number_format(round(100 * value, 1), 1)}\u00a0%"


def _signed(value: float, places: int) -> str:
    value = round(value, places) + 0.0
    return ("+" if value > 0 else "−" if value < 0 else "") + number_format(abs(value), places)
