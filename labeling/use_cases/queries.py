"""Which prompt to say a use case of next, what people said, and the mix as it is."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from django.db import connection
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.intake.models import Prompt, Split, UseCase
from labeling.plots import Plot, bars
from labeling.refusals import Refusal
from labeling.use_cases import targets
from labeling.use_cases.agreeing import UseCaseAgreement, agreement_of
from labeling.use_cases.models import UseCaseAssignment, UseCaseSuggestion, UseCaseTarget

MOST_AT_ONCE = 20
# Prompts whose digest ends below this digit, 3 of 16, are wanted from two people: they measure agreement.
TWICE_BELOW = "3"
# One key for each, at which the hand rests; the order is the paper's.
KEYS = dict(zip(UseCase.values, "1234567890", strict=True))
HINTS = {
    UseCase.GENERATION: gettext_lazy("something new: a story, a letter, a program"),
    UseCase.OPEN_QA: gettext_lazy("a question whose answer one has to know"),
    UseCase.BRAINSTORMING: gettext_lazy("ideas, a list of possibilities"),
    UseCase.CHAT: gettext_lazy("a conversation, with an assistant or a character"),
    UseCase.REWRITE: gettext_lazy("a given text in another way: simpler, translated, mended"),
    UseCase.SUMMARIZATION: gettext_lazy("a given text, shorter"),
    UseCase.CLASSIFICATION: gettext_lazy("which of several classes a given text belongs to"),
    UseCase.OTHER: gettext_lazy("what fits none of these"),
    UseCase.CLOSED_QA: gettext_lazy("a question whose answer stands in a given text"),
    UseCase.EXTRACT: gettext_lazy("names, dates or other parts out of a given text"),
}

# In the order of the digests, which is random, and one index. One of mine that I took back comes again.
NEXT = """
    SELECT prompt.id, prompt.text_sha256
    FROM labeling_prompt prompt
    LEFT JOIN labeling_usecasestanding standing ON standing.prompt_id = prompt.id
    WHERE prompt.state = 'accepted' AND prompt.text_sha256 > %(after)s
        AND coalesce(standing.people, 0) < CASE WHEN right(prompt.text_sha256, 1) < %(twice)s THEN 2 ELSE 1 END
        AND coalesce((
            SELECT said.use_case FROM labeling_usecaseassignment said
            WHERE said.prompt_id = prompt.id AND said.person_id = %(person)s ORDER BY said.id DESC LIMIT 1
        ), '') = ''
    ORDER BY prompt.text_sha256 LIMIT %(size)s
"""


@dataclass(frozen=True)
class Turn:
    """Some prompts, and `next`, the place behind them; "" at the end."""

    prompts: list[Prompt]
    next: str


def turn(*, person, after: str = "", size: int = 1) -> Turn:
    """The next prompts that `person` is to say a use case of. Refusal for a place that is none."""
    if len(after) > 64 or set(after) - set("0123456789abcdef"):
        raise Refusal(_("`after` is not a place in this list; start again from its first page."))
    size = max(1, min(size, MOST_AT_ONCE))
    with connection.cursor() as cursor:
        cursor.execute(NEXT, {"after": after, "twice": TWICE_BELOW, "person": person.pk, "size": size + 1})
        rows = cursor.fetchall()
    more, rows = len(rows) > size, rows[:size]
    found = Prompt.objects.select_related("source", "source_user").in_bulk([pk for pk, _digest in rows])
    return Turn([found[pk] for pk, _digest in rows], rows[-1][1] if more else "")


def said_by(person, *, limit: int = 10) -> QuerySet[UseCaseAssignment]:
    """The newest words of one person, newest first."""
    rows = UseCaseAssignment.objects.filter(person=person).select_related("prompt")
    return rows.order_by("-id")[:limit]


def said_of(prompt: Prompt) -> QuerySet[UseCaseAssignment]:
    """All that was ever said of a prompt, in order."""
    return UseCaseAssignment.objects.filter(prompt=prompt).select_related("person").order_by("id")


def categories() -> list[dict[str, str]]:
    """Each use case with its key, its name and what it is, for the keyboard page."""
    return [
        {"value": name, "key": KEYS[name], "label": UseCase(name).label, "hint": HINTS[name]} for name in UseCase.values
    ]


# By whom a use case is, most trusted first.
BY_PEOPLE, GIVEN, SUGGESTED = "people", "given", "suggested"


@dataclass(frozen=True)
class Label:
    """What a prompt is used for, and by whom that is: "people", "given" with the prompt, or "suggested" by a
    classifier, whose version and probability are then named. `by` is "" where nothing is known."""

    use_case: str = ""
    by: str = ""


def labels_of(prompts: Collection[uuid.UUID]) -> dict[uuid.UUID, Label]:
    """Prompt id → its label by people, or as it came. Suggestions are never among them: `suggestions_of`."""
    rows = Prompt.objects.filter(pk__in=list(prompts)).values_list("pk", "use_case", "use_case_standing__use_case")
    return {
        pk: Label(use_case, BY_PEOPLE if standing else GIVEN) if use_case else Label()
        for pk, use_case, standing in rows
    }


# The mix

MIX = """
    SELECT prompt.use_case, coalesce(standing.use_case, '') <> '' AS by_people, count(*)
    FROM labeling_prompt prompt
    JOIN labeling_sourceuser writer ON writer.id = prompt.source_user_id
    LEFT JOIN labeling_usecasestanding standing ON standing.prompt_id = prompt.id
    WHERE prompt.state = 'accepted' AND (%(split)s = '' OR writer.split = %(split)s)
    GROUP BY 1, 2
"""
COLUMNS = ("use_case", "people", "given", "suggested", "all", "share", "target", "deficit")


@dataclass(frozen=True)
class Row:
    """One use case in the mix: prompts by who says so, and how many are missing to the target."""

    use_case: str
    people: int
    given: int
    suggested: int
    share: float | None  # of all prompts that have one, suggestions left out unless asked for
    target: float
    deficit: int

    @property
    def label(self) -> str:
        return str(UseCase(self.use_case).label)

    @property
    def known(self) -> int:
        return self.people + self.given

    @property
    def as_list(self) -> list:
        whole = self.known + self.suggested
        return [self.use_case, self.people, self.given, self.suggested, whole, self.share, self.target, self.deficit]


@dataclass(frozen=True)
class Mix:
    """The accepted prompts of a split, or of all, against the target."""

    rows: list[Row]
    split: str
    with_suggestions: bool
    counted: int  # prompts that the shares are of
    none: int  # without a use case by people or given
    target: targets.Target


def mix(*, split: str = "", with_suggestions: bool = False) -> Mix:
    """One pass over the prompts: 1,000,000 take about a second. Refusal for a split that does not exist."""
    if split and split not in Split.values:
        raise Refusal(
            _("There is no split {unknown!r}; choose among {values}.").format(
                unknown=split[:20], values=", ".join(Split.values)
            )
        )
    with connection.cursor() as cursor:
        cursor.execute(MIX, {"split": split})
        found = {(use_case, by_people): count for use_case, by_people, count in cursor.fetchall()}
    suggested = suggested_counts(split)
    target = targets.current()
    numbers = {
        name: (found.get((name, True), 0), found.get((name, False), 0), suggested.get(name, 0))
        for name in UseCase.values
    }
    sizes = {name: sum(three if with_suggestions else three[:2]) for name, three in numbers.items()}
    whole = sum(sizes.values())
    rows = [
        Row(
            use_case=name,
            people=people,
            given=given,
            suggested=guessed,
            share=sizes[name] / whole if whole else None,
            target=target.shares[name] / 100,
            deficit=max(0, round(whole * target.shares[name] / 100) - sizes[name]),
        )
        for name, (people, given, guessed) in numbers.items()
    ]
    return Mix(rows, split, with_suggestions, whole, found.get(("", False), 0), target)


def suggested_counts(split: str) -> dict[str, int]:
    """Use case → prompts for which it is suggested alone: no person said one, and none came with them."""
    rows = UseCaseSuggestion.objects.filter(prompt__state=Prompt.State.ACCEPTED, prompt__use_case="")
    if split:
        rows = rows.filter(prompt__source_user__split=split)
    return dict(rows.order_by().values_list("use_case").annotate(Count("pk")))


@dataclass(frozen=True)
class Suggested:
    """What a version of the classifier makes of a prompt; nobody's word."""

    use_case: str
    probability: float
    version: int

    @property
    def label(self) -> str:
        return str(UseCase(self.use_case).label)


def suggestions_of(prompts: Collection[uuid.UUID]) -> dict[uuid.UUID, Suggested]:
    """Prompt id → what is suggested for it, where something is."""
    rows = UseCaseSuggestion.objects.filter(prompt__in=list(prompts))
    return {
        pk: Suggested(use_case, probability, version)
        for pk, use_case, probability, version in rows.values_list("prompt", "use_case", "probability", "model__number")
    }


def agreement() -> UseCaseAgreement:
    """Of all prompts that two people or more said something of, but in sight of a suggestion."""
    sql = """
        WITH newest AS (
            SELECT DISTINCT ON (said.prompt_id, said.person_id) said.prompt_id, said.use_case, said.saw
            FROM labeling_usecaseassignment said
            JOIN labeling_usecasestanding standing ON standing.prompt_id = said.prompt_id AND standing.people >= 2
            WHERE said.person_id IS NOT NULL ORDER BY said.prompt_id, said.person_id, said.id DESC
        ), counted AS (
            SELECT prompt_id, array_agg(array_position(%(names)s::text[], use_case::text) - 1 ORDER BY use_case) AS said
            FROM newest WHERE use_case <> '' AND saw = '' GROUP BY prompt_id HAVING count(*) >= 2
        )
        SELECT said, count(*) FROM counted GROUP BY said
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, {"names": UseCase.values})
        found = cursor.fetchall()
    rows = [np.bincount(said, minlength=len(UseCase)) for said, times in found for _time in range(times)]
    return agreement_of(np.array(rows).reshape(len(rows), len(UseCase)))


def plot_of(found: Mix) -> Plot:
    """How far each share is above or below its target."""
    return bars(
        _("Share less target"),
        [(row.label, None if row.share is None else row.share - row.target) for row in found.rows],
        label=_("Use case"),
        value=_("Share less target"),
        percent=True,
        summary=_("Bars to the left: there are too few prompts of this use case."),
    )


def versions(*, limit: int = 10) -> QuerySet[UseCaseTarget]:
    return UseCaseTarget.objects.select_related("created_by").order_by("-number")[:limit]
