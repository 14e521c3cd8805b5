"""A practice answer beside the reference, in words and never as a grade. Pure: no database."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.forms.wording import form_in_language
from labeling.practice.content import Completion, PracticeTask

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
EVEN = 5  # on the scale of nine


@dataclass(frozen=True)
class Judged:
    """One completion: what the labeler said, what we say, and why."""

    letter: str
    text: str
    why: str
    rating: int | None
    our_rating: int | None
    rating_words: str
    rank: int | None
    our_rank: int
    flags: list[str]
    our_flags: list[str]


@dataclass(frozen=True)
class Feedback:
    """`judged` in our order, best first. `summary` speaks of the order as a whole, `differences` of each pair on which
    the two differ, `outcome` of "all bad" and "cannot be ranked"; empty where there is nothing to say."""

    judged: list[Judged]
    summary: str
    differences: list[str]
    outcome: str
    strength: str
    our_strength: str


def feedback_on(task: PracticeTask, *, answer: dict, order_shown: list[str]) -> Feedback:
    """Of an answer to a task that was ranked. What the packaged content no longer has is passed over."""
    letters = dict(zip(order_shown, LETTERS, strict=False))
    said = {one["id"]: one for one in answer["completions"]}
    known = sorted((one for one in task.completions if one.id in said), key=lambda one: (one.rank, letters[one.id]))
    labels = {field["name"]: field["label"] for field in form_in_language(task.definition)["completion"]}
    summary, differences = _order(task, known, said, letters)
    return Feedback(
        judged=[_judged(one, said[one.id], letters[one.id], labels) for one in known],
        summary=summary,
        differences=differences,
        outcome=_outcome(task, answer["outcome"]),
        strength=_strength(answer["strength"], letters, order_shown) if answer["strength"] else "",
        our_strength=_strength(our_strength(task, order_shown), letters, order_shown) if task.margin else "",
    )


@dataclass(frozen=True)
class Compared:
    """Pairs of completions that an answer orders as the reference does, of those in whose order judgment does not
    differ; and ratings that are as good as the reference's, of those that both have."""

    agreed: int = 0
    pairs: int = 0
    fair: int = 0
    ratings: int = 0


def compare(task: PracticeTask, answer: dict) -> Compared:
    """An answer beside the reference in numbers, for the team that trains newcomers. Labelers never see them."""
    said = {one["id"]: one for one in answer.get("completions", ())}
    known = [one for one in task.completions if one.id in said]
    ranked = [one for one in known if said[one.id]["rank"] is not None]
    pairs = [pair for pair in combinations(ranked, 2) if {one.id for one in pair} not in task.open]
    rated = [one for one in known if one.rating is not None and said[one.id]["rating"] is not None]
    return Compared(
        agreed=sum(_sign(pair, said) == _our_sign(pair) for pair in pairs),
        pairs=len(pairs),
        fair=sum(said[one.id]["rating"] in (one.rating, *one.fair) for one in rated),
        ratings=len(rated),
    )


def our_strength(task: PracticeTask, order_shown: list[str]) -> int:
    """Where on the scale of nine we would put the pair as it was shown."""
    better = min(task.completions, key=lambda one: one.rank)
    return EVEN - task.margin if order_shown[0] == better.id else EVEN + task.margin


def _judged(ours: Completion, theirs: dict, letter: str, labels: dict[str, str]) -> Judged:
    return Judged(
        letter=letter,
        text=ours.text,
        why=ours.why,
        rating=theirs["rating"],
        our_rating=ours.rating,
        rating_words=_rating_words(ours, theirs["rating"]),
        rank=theirs["rank"],
        our_rank=ours.rank,
        flags=[labels[name] for name in theirs["flags"] if name in labels],
        our_flags=[labels[name] for name in ours.flags if name in labels],
    )


def _rating_words(ours: Completion, rating: int | None) -> str:
    if rating is None or ours.rating is None:
        return ""
    if rating == ours.rating:
        return _("as we do")
    if rating in ours.fair:
        return _("judgment differs here, and yours is as good")
    return _("higher than we do") if rating > ours.rating else _("lower than we do")


def _order(task: PracticeTask, known: list[Completion], said: dict, letters: dict) -> tuple[str, list[str]]:
    if not known or any(said[one.id]["rank"] is None for one in known):
        return "", []
    pairs = list(combinations(known, 2))
    differing = [pair for pair in pairs if _sign(pair, said) != _our_sign(pair)]
    words = [_difference(task, pair, _sign(pair, said), letters) for pair in differing]
    agreed = len(pairs) - len(differing)
    if not differing:
        summary = _("You and we put them in the same order.")
    elif len(pairs) == 1:
        summary = ""
    elif not agreed:
        summary = _("You and we order them differently throughout. Read why we see it so.")
    else:
        summary = ngettext(
            "Taken two by two, you and we agree on {agreed} pair of {pairs}.",
            "Taken two by two, you and we agree on {agreed} pairs of {pairs}.",
            agreed,
        ).format(agreed=agreed, pairs=len(pairs))
    return summary, words


def _sign(pair: tuple[Completion, Completion], said: dict) -> int:
    first, second = (said[one.id]["rank"] for one in pair)
    return (first < second) - (first > second)


def _our_sign(pair: tuple[Completion, Completion]) -> int:
    return (pair[0].rank < pair[1].rank) - (pair[0].rank > pair[1].rank)


def _difference(task: PracticeTask, pair: tuple[Completion, Completion], sign: int, letters: dict) -> str:
    """`pair` stands in our order, so that we either put its first above or tie the two."""
    first, second = (letters[one.id] for one in pair)
    if not _our_sign(pair):
        above, below = (first, second) if sign > 0 else (second, first)
        words = _("You put {above} above {below}; we tie them.").format(above=above, below=below)
    elif not sign:
        words = _("You tie {first} and {second}; we put {first} above.").format(first=first, second=second)
    else:
        words = _("You put {second} above {first}; we put {first} above {second}.").format(first=first, second=second)
    if {one.id for one in pair} in task.open:
        words += " " + _("Judgment differs here, and your order is as good as ours.")
    return words


def _outcome(task: PracticeTask, outcome: str) -> str:
    if outcome == "cannot_rank":
        return _("You said that these cannot be ranked. We would rank them, as follows.")
    if outcome == "all_bad":
        return _("You called all of them bad, and so do we.") if task.all_bad else _("You called all of them bad.")
    return _("We would also call all of them bad.") if task.all_bad else ""


def _strength(value: int, letters: dict, order_shown: list[str]) -> str:
    if value == EVEN:
        return _("5, both are equally good")
    letter = letters[order_shown[0] if value < EVEN else order_shown[1]]
    words = {
        1: _("{value}, {letter} is slightly better"),
        2: _("{value}, {letter} is better"),
        3: _("{value}, {letter} is clearly better"),
        4: _("{value}, {letter} is much better"),
    }[abs(value - EVEN)]
    return words.format(value=value, letter=letter)
