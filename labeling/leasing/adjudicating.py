"""Seats beyond a task's overlap: for more labelers, and for the researcher who decides what they disagree about.

When there are any is for `labeling.adjudication` to say. What decides is in no queue: its seat has no groups, and is
taken by name here.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Collection

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from labeling.forms.queries import newest_version
from labeling.leasing.gates import check_gates
from labeling.leasing.models import Lease, Seat, Task
from labeling.leasing.services import (
    LEFT,
    SYSTEM_RANDOM,
    WITHHELD,
    _end_of_lease,
    _extend,
    _lock_labeler,
    _sit_down_again,
    _take_seat,
    loaded,
)
from labeling.people.models import User
from labeling.refusals import Conflict, NotAllowed


def open_more_seats(*, task: Task, count: int) -> list[int]:
    """The ids of `count` new seats: so many more labelers of the batch's groups are wanted at `task`, behind all that
    waits in its queue.

    In the caller's transaction, which holds a lock that only one caller at a time can have for this task.
    """
    first = _next_number(task)
    made = Seat.objects.bulk_create(
        Seat(
            task=task,
            batch_id=task.batch_id,
            number=first + place,
            groups=task.batch.groups,
            categories=task.item.categories,
        )
        for place in range(count)
    )
    return [seat.pk for seat in made]


def open_deciding_seat(*, task: Task) -> None:
    """A researcher is wanted who decides, unless one is already. In the caller's transaction, as `open_more_seats`."""
    if not Seat.objects.filter(task=task, adjudicates=True).exists():
        Seat.objects.create(
            task=task,
            batch_id=task.batch_id,
            number=_next_number(task),
            groups=[],
            categories=task.item.categories,
            adjudicates=True,
        )


def withdraw_seats(seats: Collection[int]) -> int:
    """Take back those of these seats that are free; how many. One that somebody takes this moment stays theirs."""
    free = Seat.objects.filter(pk__in=seats, state=Seat.State.FREE)
    locked = list(free.order_by("id").select_for_update(of=("self",), skip_locked=True).values_list("id", flat=True))
    Seat.objects.filter(pk__in=locked).delete()
    return len(locked)


def _next_number(task: Task) -> int:
    return 1 + (Seat.objects.filter(task=task).aggregate(last=Max("number"))["last"] or 0)


@transaction.atomic
def take_decision(*, task: Task, researcher: User, rng: random.Random | None = None) -> Lease:
    """The researcher's open lease to decide about `task`, theirs already or new. As `loaded` gives it.

    NotAllowed for who is no researcher, has answered or skipped this task, and a Gate as for any task; Conflict where
    somebody else decides, nobody is asked to, or another task is open.
    """
    person = _lock_labeler(researcher)
    if person.role != User.Role.RESEARCHER:
        raise NotAllowed(_("Researchers decide what labelers disagree about."))
    own = person.leases.select_for_update(no_key=True).filter(task=task).first()
    if own is not None and (not own.adjudicates or own.state not in (Lease.State.OPEN, *LEFT)):
        if own.state == Lease.State.SUBMITTED and own.adjudicates:
            raise Conflict(_("You have decided about this task already; correct your answer where it was wrong."))
        raise NotAllowed(_("You had this task yourself; another researcher decides about it."))
    if own is not None and own.state == Lease.State.OPEN:
        _extend(own)
        return loaded(person).get(pk=own.pk)
    if person.leases.filter(state=Lease.State.OPEN).exists():
        raise Conflict(_("You hold another task. Finish it or give it back first."))
    guideline = check_gates(person)
    if own is not None:
        if not _sit_down_again(person, own, Lease.State.OPEN, guideline):
            raise Conflict(_("Nobody is asked to decide about this task, or another researcher is at it."))
        return loaded(person).get(pk=own.pk)
    seat = (
        Seat.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(task=task, adjudicates=True, state=Seat.State.FREE)
        .first()
    )
    if seat is None:
        raise Conflict(_("Nobody is asked to decide about this task, or another researcher is at it."))
    _take_seat(seat)
    shown = [str(one) for one in task.item.completions.exclude(pk__in=WITHHELD).values_list("id", flat=True)]
    draw = rng or SYSTEM_RANDOM
    lease = Lease.objects.create(
        id=uuid.uuid4(),
        task=task,
        seat=seat,
        labeler=person,
        adjudicates=True,
        guideline_id=guideline,
        form_version=newest_version(task.batch.form_id),
        order_shown=draw.sample(sorted(shown), len(shown)),
        order_ranked=draw.sample(sorted(shown), len(shown)),
        expires_at=_end_of_lease(Lease.State.OPEN),
    )
    return loaded(person).get(pk=lease.pk)
