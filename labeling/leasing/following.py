"""Tasks follow the state of their prompt: one that is held or dropped is offered to nobody and taken back from who has
it, and one that comes back is offered again.

The seats change in the transaction that changes the prompt. Leases are taken back right after it, one by one: their
labelers lock lease before seat, and this transaction holds seats. Until then an answer is taken as any other.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from labeling.governance import deciding
from labeling.governance.models import Flag
from labeling.intake.models import Prompt
from labeling.leasing.models import Lease, Seat
from labeling.leasing.services import FREED, HELD, get_own, leave, lock_seats
from labeling.people.models import User
from labeling.refusals import Refusal

NOT_ACCEPTED = ~Q(task__item__prompt__state=Prompt.State.ACCEPTED) & Q(task__item__prompt__isnull=False)


def follow_prompts(prompts: Collection[uuid.UUID]) -> None:
    """Seats and leases of the tasks of `prompts`, whose state has just changed, in the caller's transaction."""
    seats = Seat.objects.filter(task__item__prompt__in=prompts)
    # All of them, also those that are taken: one that is being given back this moment is free once we have its lock.
    lock_seats(seats)
    seats.filter(NOT_ACCEPTED, state=Seat.State.FREE).update(state=Seat.State.WITHHELD)
    seats.exclude(NOT_ACCEPTED).filter(state=Seat.State.WITHHELD).update(**FREED)
    transaction.on_commit(partial(take_back_leases, list(prompts)))


def take_back_leases(prompts: Collection[uuid.UUID] | None = None) -> int:
    """Give back what labelers hold of prompts that are not accepted, drafts kept; how many. All of them without
    `prompts`, which is for the sweep: whoever changed a prompt may have died before this."""
    held = Lease.objects.filter(NOT_ACCEPTED, state__in=HELD)
    if prompts is not None:
        held = held.filter(task__item__prompt__in=prompts)
    return sum(_take_back(lease) for lease in list(held.values_list("pk", flat=True)))


@transaction.atomic
def _take_back(lease_id: uuid.UUID) -> bool:
    lease = Lease.objects.select_for_update(no_key=True).get(pk=lease_id)
    # Looked at again under the lock: it may have been answered, or the prompt is back.
    if lease.state not in HELD or not Lease.objects.filter(NOT_ACCEPTED, pk=lease_id).exists():
        return False
    seat = lease.seat_id
    leave(lease, Lease.State.RETURNED)
    Seat.objects.filter(pk=seat, state=Seat.State.FREE).update(state=Seat.State.WITHHELD)
    return True


def flag_prompt(*, lease_id: uuid.UUID | str, labeler: User, marks: Any = (), note: Any = "") -> Flag:
    """The labeler's word that the prompt of their task has personal data in it. From now on it is nobody's task: it is
    taken back from who has it, the labeler too, drafts kept, and waits for the team.

    `marks` is a list of {"words", "kind"}. Raises Refusal where neither marks nor note say what is meant, or the task
    has no prompt, and NotFound for another person's task.
    """
    read = deciding.read_marks(list(marks))
    if not isinstance(note, str):
        raise Refusal(_("`note` must be text."))
    lease = get_own(lease_id=lease_id, labeler=labeler)
    if lease.task.item.prompt_id is None:
        raise Refusal(_("This task has no prompt that could be taken back; skip it and say why."))
    with transaction.atomic(durable=True):
        made = deciding.flag(prompt_id=lease.task.item.prompt_id, by=labeler, lease_id=lease.pk, marks=read, note=note)
    # Also where nobody listens to the commit: the caller is told that it is done.
    take_back_leases([lease.task.item.prompt_id])
    return made
