"""Batches of prompts that labelers are to write: how many of which form, at which use cases they aim, for whom.

InstructGPT's labelers wrote three kinds (Ouyang et al. 2022, section 3.2): plain, few-shot and user-based.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.governance import personal_data
from labeling.intake.models import UseCase
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling import choosing
from labeling.sampling.models import Batch, BatchItem, BriefForm
from labeling.sampling.services import check_name, check_numbers, check_review_name, make_review_batch, name_taken
from labeling.text import check_text
from labeling.use_cases.targets import PAPER_SHARES

SPREADS = ("paper", "even", "none")
LEAST_PAIRS, MOST_PAIRS, USUAL_PAIRS = 2, 20, 3
MOST_BRIEFS = 10_000
STATEMENT_CHARACTERS = 1000
NOTE_CHARACTERS = 2000
# Whose prompts can be used: held-out labelers' work never trains, and a program's is no person's.
WRITERS = (User.Group.TRAINING, User.Group.RESEARCHER)


@dataclass(frozen=True)
class Brief:
    """What prompt is wanted. `use_case` "" leaves it to the labeler; `pairs` is the least number of examples."""

    form: str
    use_case: str = ""
    statement: str = ""
    pairs: int = 0
    note: str = ""


def create_prompt_batch(
    *,
    name: str,
    plain: int = 0,
    few_shot: int = 0,
    user_based: int | None = None,
    statements: Iterable[str] = (),
    use_cases: Collection[str] = (),
    spread: str = "paper",
    pairs: int = USUAL_PAIRS,
    note: str = "",
    overlap: int = 1,
    groups: Iterable[str] = (User.Group.TRAINING,),
    group_targets: dict[str, int] | str = "",
    priority: int = 0,
    seed: int = 0,
    review: bool = False,
    created_by: User | None = None,
) -> Batch:
    """A new batch with a filled item for each brief, in an order drawn by `seed`; `start_sampling` opens its tasks.

    Plain and few-shot briefs aim at `use_cases` (all where none are named), spread as in the paper, evenly, or not at
    all. User-based ones share the `statements`, one each where `user_based` is None. With `review` a prompt goes
    into the pool once a second labeler has accepted or edited it, in a batch of its own that is made with this one.
    Raises Refusal with a sentence, Conflict where the name is taken.
    """
    groups = list(dict.fromkeys(groups))
    targets = choosing.read_targets(group_targets)
    if targets:
        groups, overlap = list(targets), sum(targets.values())
    check_name(name, what=_("A batch"))
    if review:
        check_review_name(name)
    check_numbers(overlap=overlap, priority=priority, seed=seed)
    if not groups or set(groups) - set(WRITERS):
        raise Refusal(
            _(
                "Prompts are written by the groups {groups}: what held-out labelers write never trains a model, and "
                "programs write none."
            ).format(groups=", ".join(WRITERS))
        )
    briefs = make_briefs(
        plain=plain,
        few_shot=few_shot,
        user_based=user_based,
        statements=read_statements(statements),
        use_cases=use_cases,
        spread=spread,
        pairs=pairs,
        note=_read_note(note),
        seed=seed,
    )
    try:
        with transaction.atomic(durable=True):
            batch = Batch.objects.create(
                name=name,
                kind=Batch.Kind.PROMPT,
                overlap=overlap,
                groups=groups,
                group_targets=targets,
                priority=priority,
                seed=seed,
                review=review,
                created_by=created_by,
            )
            if review:
                make_review_batch(batch)
            BatchItem.objects.bulk_create(
                (BatchItem(batch=batch, brief=asdict(brief), k=0, state=BatchItem.State.FILLED) for brief in briefs),
                batch_size=1000,
            )
            record(actor=created_by, action="batch.created", subject=batch, name=name, items=len(briefs))
    except IntegrityError as error:
        if "name" not in str(error):
            raise
        raise name_taken(name, review=review) from None
    return batch


def make_briefs(
    *,
    plain: int,
    few_shot: int,
    user_based: int | None,
    statements: Sequence[str],
    use_cases: Collection[str],
    spread: str,
    pairs: int,
    note: str,
    seed: int,
) -> list[Brief]:
    """The briefs in their order; the same for the same wishes and seed. Raises Refusal. Pure."""
    if user_based is None:
        user_based = len(statements)
    if min(plain, few_shot, user_based) < 0:
        raise Refusal(_("A number of prompts is negative; ask for 0 or more of each form."))
    if user_based and not statements:
        raise Refusal(_("Give the stated uses that prompts are to be written for, one on each line."))
    if statements and user_based < len(statements):
        raise Refusal(
            _("{count} prompts cannot go round {uses} stated uses; ask for one each, or more.").format(
                count=user_based, uses=len(statements)
            )
        )
    if not plain + few_shot + user_based:
        raise Refusal(_("Say how many prompts are wanted: of any task, with examples, or for stated uses."))
    if plain + few_shot + user_based > MOST_BRIEFS:
        raise Refusal(
            _("{count} prompts are too many for a batch; it takes {most}.").format(
                count=plain + few_shot + user_based, most=MOST_BRIEFS
            )
        )
    if not LEAST_PAIRS <= pairs <= MOST_PAIRS:
        raise Refusal(
            _("{pairs} examples cannot be asked for; a prompt has from {least} to {most}.").format(
                pairs=pairs, least=LEAST_PAIRS, most=MOST_PAIRS
            )
        )
    if unknown := set(use_cases) - set(UseCase.values):
        raise Refusal(
            _("There is no use case {unknown!r}; choose among {values}.").format(
                unknown=sorted(unknown)[0], values=", ".join(UseCase.values)
            )
        )
    if spread not in SPREADS:
        raise Refusal(
            _("Use cases cannot be spread {spread!r}; choose among {values}.").format(
                spread=spread, values=", ".join(SPREADS)
            )
        )
    chosen = [use_case for use_case in UseCase.values if use_case in use_cases or not use_cases]
    draw = random.Random(f"{seed}:briefs")
    aims = [""] * (plain + few_shot)
    if spread != "none":
        aims = spread_out(plain + few_shot, {each: PAPER_SHARES[each] if spread == "paper" else 1 for each in chosen})
    draw.shuffle(aims)
    briefs = [Brief(BriefForm.PLAIN, use_case, note=note) for use_case in aims[:plain]]
    briefs += [Brief(BriefForm.FEW_SHOT, use_case, pairs=pairs, note=note) for use_case in aims[plain:]]
    said = islice(cycle(statements), user_based)
    briefs += [Brief(BriefForm.USER_BASED, statement=statement, note=note) for statement in said]
    draw.shuffle(briefs)
    return briefs


def spread_out(count: int, shares: dict[str, float]) -> list[str]:
    """`count` names, each as often as its share says, rounded by largest remainder. Pure."""
    whole = sum(shares.values())
    wanted = {name: count * share / whole for name, share in shares.items()}
    numbers = {name: int(number) for name, number in wanted.items()}
    rest = sorted(wanted, key=lambda name: numbers[name] - wanted[name])
    for name in rest[: count - sum(numbers.values())]:
        numbers[name] += 1
    return [name for name, number in numbers.items() for _ in range(number)]


def read_statements(lines: Iterable[str]) -> list[str]:
    """The stated uses, without blank lines and repetitions. Refusal that names the line where one cannot be shown."""
    statements = []
    for number, line in enumerate(lines, 1):
        text = check_text(line, where=_("line {number} of the stated uses").format(number=number)).strip()
        if len(text) > STATEMENT_CHARACTERS:
            raise Refusal(
                _("Line {number} of the stated uses has {length} characters; at most {most} fit.").format(
                    number=number, length=len(text), most=STATEMENT_CHARACTERS
                )
            )
        found = {span.kind for span in personal_data.scan(text) if span.score >= personal_data.HOLD_AT}
        if found:
            raise Refusal(
                _(
                    "Line {number} of the stated uses seems to hold personal data ({kinds}), and labelers would read "
                    "it; take it out."
                ).format(number=number, kinds=", ".join(sorted(found)))
            )
        if text:
            statements.append(text)
        if len(statements) > MOST_BRIEFS:
            raise Refusal(_("These are too many stated uses; a batch takes {most} prompts.").format(most=MOST_BRIEFS))
    return list(dict.fromkeys(statements))


def _read_note(note: str) -> str:
    note = check_text(note, where=_("the note")).strip()
    if len(note) > NOTE_CHARACTERS:
        raise Refusal(
            _("The note has {length} characters; at most {most} are shown.").format(
                length=len(note), most=NOTE_CHARACTERS
            )
        )
    return note
