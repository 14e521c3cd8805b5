"""What a batch is made of, before anything is sampled: which prompts, how many completions each, by which endpoint."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, QuerySet, Value
from django.db.models.functions import MD5, Concat
from django.utils.translation import gettext as _

from labeling.intake.models import Prompt, Split, UseCase
from labeling.refusals import Refusal
from labeling.sampling.models import BatchItem

# How many completions a form's order can take, least and most. InstructGPT showed its labelers between 4 and 9 of a
# prompt (section 3.5); comparisons of two or three are ranked the same way.
K_OF_ORDER = {"ranks": (2, 9), "strength": (2, 2), "none": (1, 9)}
USUAL_K = {"ranks": 4, "strength": 2, "none": 1}
ORDERS = tuple(BatchItem.Strategy.values)
USUAL_FLOOR, USUAL_SHARPNESS = 0.2, 1.0


@dataclass(frozen=True)
class Selection:
    """Which accepted prompts go into a batch. Empty filters let everything through."""

    splits: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()  # "" stands for prompts without one
    count: int | None = None  # None: all of them
    order: str = "random"
    fresh: bool = False  # only prompts that are in no batch yet
    # Of strategies that prefer some prompts: what share of the draw goes to all alike.
    floor: float = USUAL_FLOOR
    # Of those that go by a score: the smaller, the more the highest scores are preferred.
    sharpness: float = USUAL_SHARPNESS
    # Only prompts that have so many completions to be ranked again.
    completions: int = 0
    # Prompts whose use case a classifier suggests count as of it, where people have said nothing.
    suggested: bool = False

    def check(self) -> None:
        unknown = set(self.splits) - set(Split.values)
        if unknown:
            raise Refusal(
                _("There is no split {unknown!r}; choose among {values}.").format(
                    unknown=sorted(unknown)[0], values=", ".join(Split.values)
                )
            )
        unknown = set(self.use_cases) - set(UseCase.values) - {""}
        if unknown:
            raise Refusal(
                _("There is no use case {unknown!r}; choose among {values}.").format(
                    unknown=sorted(unknown)[0], values=", ".join(UseCase.values)
                )
            )
        if self.order not in ORDERS:
            raise Refusal(
                _("Prompts cannot be taken in the order {order!r}; choose {orders}.").format(
                    order=self.order, orders=", ".join(ORDERS)
                )
            )
        if not 0.01 <= self.floor <= 1:
            raise Refusal(
                _(
                    "The share drawn at random is {floor}; it must be from 0.01 to 1, or some prompts could never be "
                    "drawn."
                ).format(floor=self.floor)
            )
        if not 0.1 <= self.sharpness <= 10:
            raise Refusal(
                _("The temperature of the draw is {sharpness}; it must be from 0.1 to 10.").format(
                    sharpness=self.sharpness
                )
            )
        if self.count is not None and self.count < 1:
            raise Refusal(
                _("{count} prompts make no batch; ask for at least 1, or leave the number out for all.").format(
                    count=self.count
                )
            )


def pool_of(selection: Selection) -> QuerySet[Prompt]:
    """All prompts that match, in no order."""
    prompts = Prompt.objects.filter(state=Prompt.State.ACCEPTED).order_by()
    if selection.splits:
        prompts = prompts.filter(source_user__split__in=selection.splits)
    if selection.sources:
        prompts = prompts.filter(source__name__in=selection.sources)
    if selection.use_cases:
        prompts = prompts.filter(use_case__in=selection.use_cases)
    if selection.fresh:
        prompts = prompts.filter(~Exists(BatchItem.objects.filter(prompt=OuterRef("pk"))))
    if selection.completions:
        from labeling.sampling.reusing import with_completions  # it draws too, and reads its usual share from here

        prompts = with_completions(prompts, least=selection.completions)
    return prompts


def selected_prompts(selection: Selection, *, seed: int) -> QuerySet[Prompt]:
    """The chosen prompts where none is preferred, in an order that the same seed and prompts repeat."""
    selection.check()
    prompts = pool_of(selection)
    if selection.order == BatchItem.Strategy.RANDOM:
        # Drawn by text, not by row: another installation with the same prompts and seed chooses the same.
        prompts = prompts.order_by(MD5(Concat(Value(f"{seed}:"), F("text_sha256"))), "text_sha256")
    else:
        sign = "-" if selection.order == BatchItem.Strategy.NEWEST else ""
        prompts = prompts.order_by(f"{sign}created_at", f"{sign}id")
    return prompts[: selection.count] if selection.count is not None else prompts


def read_targets(targets: dict[str, int] | str) -> dict[str, int]:
    """How many answers each labeler group gives, from "training:2,researcher:1" or a dict; empty where nothing is
    said. Raises Refusal. Whether the groups exist is for the caller."""
    if isinstance(targets, str):
        if not targets.strip():
            return {}
        if not re.fullmatch(r"\s*\w+\s*:\s*\d{1,3}\s*(,\s*\w+\s*:\s*\d{1,3}\s*)*", targets):
            raise Refusal(
                _("The targets {targets!r} cannot be read; write groups such as training:2,researcher:1.").format(
                    targets=targets[:60]
                )
            )
        parts = [part.split(":") for part in targets.split(",")]
        if len({group.strip() for group, _number in parts}) < len(parts):
            raise Refusal(
                _("The targets {targets!r} give one group two numbers; give each group once.").format(
                    targets=targets[:60]
                )
            )
        targets = {group.strip(): int(number) for group, number in parts}
    if not isinstance(targets, dict):
        raise Refusal(_('The targets must be an object such as {"training": 2, "researcher": 1}.'))
    for group, number in targets.items():
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= 100:
            raise Refusal(
                _("The target of {group} is {number}; from 1 to 100 answers can be asked of a group.").format(
                    group=group[:20], number=str(number)[:20]
                )
            )
    return dict(targets)


def read_k(k: int | str | dict[int, float] | None, *, order: str = "ranks") -> dict[int, float]:
    """How often each K is wanted, as {K: weight}: from 4, "4", "4-9" (each alike), "4:3,9:1" or a dict; from None or
    an empty text the usual one. `order` is what the form asks for."""
    if k is None or k == "":
        k = USUAL_K[order]
    if isinstance(k, bool) or not isinstance(k, int | str | dict):
        raise Refusal(_("K must be a number, a range such as 4-9, or weights such as 4:3,9:1."))
    if isinstance(k, int):
        weights = {k: 1.0}
    elif isinstance(k, dict):
        weights = dict(k)
    elif re.fullmatch(r"\s*\d{1,3}\s*", k):
        weights = {int(k): 1.0}
    elif found := re.fullmatch(r"\s*(\d{1,3})\s*-\s*(\d{1,3})\s*", k):
        low, high = int(found[1]), int(found[2])
        if low > high:
            raise Refusal(
                _("K from {low} to {high} is an empty range; put the smaller number first.").format(low=low, high=high)
            )
        weights = {each: 1.0 for each in range(low, high + 1)}
    elif re.fullmatch(r"\s*\d{1,3}\s*:\s*\d{1,6}(\.\d{1,6})?\s*(,\s*\d{1,3}\s*:\s*\d{1,6}(\.\d{1,6})?\s*)*", k):
        parts = [part.split(":") for part in k.split(",")]
        if len({int(number) for number, _weight in parts}) < len(parts):
            raise Refusal(_("K {k!r} gives one number two weights; give each number once.").format(k=k))
        weights = {int(number): float(weight) for number, weight in parts}
    else:
        raise Refusal(
            _("K {k!r} cannot be read; write 4, a range such as 4-9, or weights such as 4:3,9:1.").format(k=k[:60])
        )
    weights = {number: weight for number, weight in sorted(weights.items()) if weight > 0}
    if not weights:
        raise Refusal(_("K needs at least one number with a weight above 0."))
    least, most = K_OF_ORDER[order]
    for number in weights:
        if order == "strength" and number != least:
            raise Refusal(
                _("K is {number}; this form compares two completions: make it 2, or choose a form with ranks.").format(
                    number=number
                )
            )
        if not least <= number <= most:
            raise Refusal(
                _(
                    "K is {number}; a task of this form has from {least} to {most} completions: fewer cannot be "
                    "put in order, more cannot be held in one's head."
                ).format(number=number, least=least, most=most)
                if order == "ranks"
                else _("K is {number}; a task of this form has from {least} to {most} completions.").format(
                    number=number, least=least, most=most
                )
            )
    return weights


def draw_k(weights: dict[int, float], *, seed: int, prompt_sha256: str) -> int:
    """This prompt's K: the same for the same batch seed and text."""
    if len(weights) == 1:
        return next(iter(weights))
    chance = random.Random(f"{seed}:k:{prompt_sha256}")
    return chance.choices(list(weights), weights=list(weights.values()))[0]


def share_out(k: int, endpoints: int, *, seed: int, prompt_sha256: str) -> list[int]:
    """How many of K completions each endpoint gives: as even as can be, the remainder to endpoints drawn by prompt."""
    shares = [k // endpoints] * endpoints
    chance = random.Random(f"{seed}:share:{prompt_sha256}")
    for index in chance.sample(range(endpoints), k % endpoints):
        shares[index] += 1
    return shares


def request_seed(*, seed: int, prompt_sha256: str, endpoint: str, attempt: int) -> int:
    """The seed of one request, 31 bits, which every server takes: other for each prompt, endpoint and repetition."""
    digest = hashlib.sha256(f"{seed}:{prompt_sha256}:{endpoint}:{attempt}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
