"""The demo's check set: packaged answers and what is left of them when they are cut, and two programs that were
checked with them for four weeks. One of them begins to click through in the last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice

from django.db import transaction
from django.utils import timezone

from labeling.checks import services as checks
from labeling.checks.models import CheckSet
from labeling.intake.models import Prompt
from labeling.leasing.models import CheckTurn, Lease, Seat, Task
from labeling.management.content import packaged_answers
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.sampling.models import Batch, BatchItem, Completion, Provenance
from labeling.simulation.services import account

BATCH, SET = "packaged-checks", "Packaged checks"
WEEKS, EACH = 4, 6  # checks a week, each of its own item
NOTHING = "I do not know."
# Of the four completions, best first: what somebody careful makes of them, now and then, and what clicking makes.
GOOD, NEARLY, CLICKED = (1, 2, 3, 4), (1, 3, 2, 4), (4, 3, 2, 1)


def bring_checks() -> Batch:
    """The batch of the set's items. The researcher's answers are Rita's, as the packaged ideal answers are their
    writer's. Made once."""
    rita = User.objects.get(username="rita")
    if CheckSet.objects.filter(name=SET).exists():
        return Batch.objects.get(name=BATCH)
    with transaction.atomic(durable=True):
        batch, made = Batch.objects.get_or_create(
            name=BATCH, defaults={"state": Batch.State.CLOSED, "groups": [User.Group.RESEARCHER], "again": True}
        )
        if made:
            for prompt, answer in islice(_that_can_be_cut(), WEEKS * EACH):
                _answer(_task(batch, prompt, answer), rita, GOOD, days_ago=40)
    held = checks.make_set(name=SET, batch=batch, groups=["training", "held_out", "simulated"], actor=rita)
    careful, hasty = account(1), account(2)
    with transaction.atomic(durable=True):
        for number, item in enumerate(held.items.order_by("id")):
            week = number // EACH
            for person in (careful, hasty):
                ranks = CLICKED if person == hasty and week == WEEKS - 1 else NEARLY if number % 4 == 0 else GOOD
                _answer(item.task, person, ranks, days_ago=7 * (WEEKS - 1 - week), check=True)
    checks.keep_up()
    return batch


def _that_can_be_cut() -> Iterator[tuple[Prompt, str]]:
    """Packaged answers of at least two sentences, which make four different completions."""
    for prompt, answer in packaged_answers():
        if len(set(_cut(answer))) == len(GOOD):
            yield prompt, answer


def _cut(answer: str) -> list[str]:
    """Best first."""
    words = answer.split()
    return [answer, " ".join(words[: len(words) * 2 // 3]), " ".join(words[: len(words) // 4]), NOTHING]


def _task(batch: Batch, prompt: Prompt, answer: str) -> Task:
    texts = _cut(answer)
    item = BatchItem.objects.create(batch=batch, prompt=prompt, k=len(texts), state=BatchItem.State.FILLED)
    for text in texts:
        digest = hashlib.sha256(text.encode()).hexdigest()
        completion = Completion.objects.create(item=item, text=text, text_sha256=digest)
        Provenance.objects.create(completion=completion, model="packaged")
    return Task.objects.create(item=item, batch=batch, kind=batch.kind)


def _answer(task: Task, person: User, ranks: tuple[int, ...], *, days_ago: int, check: bool = False) -> None:
    given = timezone.now() - timedelta(days=days_ago)
    completions = list(task.item.completions.order_by("created_at", "id"))
    order = [str(completion.pk) for completion in completions]
    seat = Seat.objects.create(
        task=task,
        batch=task.batch,
        number=task.seats.count(),
        state=Seat.State.FILLED,
        groups=[] if check else task.batch.groups,
    )
    if check:
        CheckTurn.objects.create(task=task, labeler=person, kind=CheckTurn.Kind.GOLD, served_at=given)
    lease = Lease.objects.create(
        task=task,
        seat=seat,
        labeler=person,
        state=Lease.State.SUBMITTED,
        order_shown=order,
        order_ranked=order,
        granted_at=given,
        expires_at=given,
        ended_at=given,
    )
    ranking = Ranking.objects.create(
        lease=lease,
        task=task,
        labeler=person,
        group=person.group,
        origin=Ranking.Origin.SIMULATED if person.is_simulated else Ranking.Origin.WORKBENCH,
        idempotency_key="packaged",
        payload_sha256="0" * 64,
        order_shown=order,
        order_ranked=order,
        created_at=given,
    )
    Judgment.objects.bulk_create(
        Judgment(ranking=ranking, completion=completion, rank=rank)
        for completion, rank in zip(best_first(completions), ranks, strict=True)
    )


def best_first(completions: Iterable[Completion]) -> list[Completion]:
    """What is left of an answer: the more the better, and saying nothing last, however short the rest is."""
    return sorted(completions, key=lambda completion: (completion.text == NOTHING, -len(completion.text)))
