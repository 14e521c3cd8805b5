"""The mix of use cases that is aimed at: the paper's until an admin says otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.intake.models import UseCase
from labeling.refusals import Conflict, Refusal
from labeling.text import check_text
from labeling.use_cases.models import UseCaseTarget

# How the use cases were shared out among the prompts that InstructGPT's customers sent, per cent (its Table 1). As
# printed they make 99.9.
PAPER_SHARES = {
    UseCase.GENERATION: 45.6,
    UseCase.OPEN_QA: 12.4,
    UseCase.BRAINSTORMING: 11.2,
    UseCase.CHAT: 8.4,
    UseCase.REWRITE: 6.6,
    UseCase.SUMMARIZATION: 4.2,
    UseCase.CLASSIFICATION: 3.5,
    UseCase.OTHER: 3.5,
    UseCase.CLOSED_QA: 2.6,
    UseCase.EXTRACT: 1.9,
}
# Shares are given to a tenth of a per cent; rounding ten of them may miss 100 by this.
TOLERANCE = 0.1


@dataclass(frozen=True)
class Target:
    """Per cent by use case, and when the classifier's suggestion is shown. `number` 0 is the paper's mix."""

    number: int
    shares: dict[str, float]
    suggestions: str


def current() -> Target:
    row = UseCaseTarget.objects.order_by("-number").first()
    if row is None:
        return Target(0, {str(name): share for name, share in PAPER_SHARES.items()}, UseCaseTarget.Shown.AFTER)
    return Target(row.number, row.by_use_case, row.suggestions)


def read_shares(given: Any) -> dict[str, float]:
    """Per cent of each use case, those left out 0. Refusal where one is no share, or they do not make 100."""
    if not isinstance(given, Mapping):
        raise Refusal(
            _("The shares must be an object such as {example}.").format(example='{"chat": 60, "extract": 40}')
        )
    if unknown := set(given) - set(UseCase.values):
        raise Refusal(
            _("There is no use case {unknown!r}; choose among {values}.").format(
                unknown=str(sorted(map(str, unknown))[0])[:40], values=", ".join(UseCase.values)
            )
        )
    shares = {}
    for name in UseCase.values:
        value = given.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise Refusal(_("The share of {name} must be a number of at least 0.").format(name=UseCase(name).label))
        shares[name] = float(value)
    whole = sum(shares.values())
    if abs(whole - 100) > TOLERANCE + 1e-9:
        raise Refusal(_("The shares make {whole} %; together they must be 100 %.").format(whole=round(whole, 2)))
    return shares


@transaction.atomic(durable=True)
def set_target(*, shares: Any, suggestions: str, note: str = "", replaces: int | None = None, actor) -> UseCaseTarget:
    """A new version of the mix. `replaces` is the number that the caller saw: Conflict where somebody was quicker."""
    shares = read_shares(shares)
    if suggestions not in UseCaseTarget.Shown.values:
        raise Refusal(
            _("Suggestions are shown {values}, not {suggestions!r}.").format(
                values=", ".join(UseCaseTarget.Shown.values), suggestions=str(suggestions)[:20]
            )
        )
    note = check_text(note, where=_("the note")).strip()
    if len(note) > 300:
        raise Refusal(
            _("The note has {length} characters; at most {most} are shown.").format(length=len(note), most=300)
        )
    before = current()
    taken = Conflict(_("Somebody else changed the mix meanwhile; look at it again before you change it."))
    if replaces is not None and replaces != before.number:
        raise taken
    try:
        with transaction.atomic():
            made = UseCaseTarget.objects.create(
                number=before.number + 1,
                shares=list(shares.values()),
                suggestions=suggestions,
                note=note,
                created_by=actor,
            )
    except IntegrityError:
        raise taken from None
    record(
        actor=actor,
        action="use_cases.target_set",
        subject=made,
        number=made.number,
        shares=shares,
        suggestions=suggestions,
        before=before.shares,
    )
    return made
