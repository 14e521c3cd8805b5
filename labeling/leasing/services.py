"""Seat labelers at tasks, keep their place while they work, and free it when they leave.

Locks are always taken in this order, so that no two of these transactions wait for each other: the labeler's row, the
labeler's own lease, the one fetched ahead behind it, then seats. Leases of other labelers are only ever locked with
SKIP LOCKED. Time is the database's.
"""

from __future__ import annotations

import hashlib
import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import IntegrityError, connection, models, transaction
from django.db.models import NOT_PROVIDED, Case, Count, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from labeling.audit.services import record
from labeling.forms.built_in import DEFAULT as DEFAULT_FORM
from labeling.forms.queries import newest_version
from labeling.governance.deciding import PromptErased
from labeling.intake.models import Prompt
from labeling.leasing import apart
from labeling.leasing.answers import REASON_CHARACTERS, BadAnswer, Head, whole_number
from labeling.leasing.gates import check_gates
from labeling.leasing.models import CheckTurn, Lease, Seat, Task
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.refusals import Conflict, NotAllowed, NotFound, Refusal
from labeling.rows import Prepared, first_row
from labeling.sampling.choosing import K_OF_ORDER
from labeling.sampling.models import Batch, BatchItem, CompletionMark
from labeling.sampling.queries import waits_for_a_look
from labeling.wording import in_words
from training.formats import canonical_json

# Order drawn for each labeler; nobody can guess or steer it.
SYSTEM_RANDOM = random.SystemRandom()
OPEN_AT_ONCE = 1000  # items a transaction of `open_tasks`
EXPIRE_AT_ONCE = 100  # leases closed by one grant; the sweep takes the rest
DRAFT_BYTES = 500_000
# Completions that labelers are not shown.
WITHHELD = CompletionMark.objects.filter(state=CompletionMark.State.WITHHELD).values("completion")
# These have a seat.
HELD = (Lease.State.OPEN, Lease.State.AHEAD)
# Still the labeler's own work, without a seat.
LEFT = (Lease.State.EXPIRED, Lease.State.RETURNED)
# A freed seat goes behind all there are: no labeler who may still take it has passed that place.
FREED = {
    "state": Seat.State.FREE,
    "freed": RawSQL("nextval(pg_get_serial_sequence('labeling_seat', 'id'))", []),
}


NO_SUCH_TASK = gettext_noop("You hold no task with this id; take the next one from your queue.")


class LeaseExpired(Conflict):
    """The time ran out and somebody else has the seat. What was written is not lost."""

    code = "lease_expired"


class PromptTakenBack(Conflict):
    """The prompt was held or dropped while somebody was at it. What they wrote is kept."""

    code = "prompt_taken_back"

    def __init__(self) -> None:
        super().__init__(
            _(
                "This prompt was taken back for a look: it may hold somebody’s personal details. Nothing of yours is "
                "lost, and your draft comes back with it. Take the next task."
            )
        )


class LeaseEnded(Conflict):
    """The labeler ended this lease: by an answer, or by skipping."""

    code = "lease_ended"


class CorrectionClosed(Conflict):
    """The answer is older than the team takes corrections for."""

    code = "correction_closed"


class AnsweredAlready(Conflict):
    """There is an answer, and this is neither a repeat of it nor a correction that names it."""

    code = "answered_already"


# Opening and closing tasks


def open_tasks(*, batch: Batch) -> int:
    """Open tasks and seats for the filled items of `batch` that have none yet; how many. Can run any number of times.

    Items with fewer completions than the form's order takes (two to rank, just two for a pair), those with one that
    waits for a look since it names its maker, and those whose prompt was held or dropped since, are left alone.
    """
    opened = 0
    while count := _open_some(batch.pk):
        opened += count
    return opened


@transaction.atomic(durable=True)
def _open_some(batch_id: int) -> int:
    return open_some(batch_id=batch_id)


def open_some(*, batch_id: int) -> int:
    """At most OPEN_AT_ONCE tasks of the batch, opened in the caller's transaction; how many."""
    # The batch's row lock lets one caller at a time look for items without a task.
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch_id)
    items = BatchItem.objects.filter(batch=batch, state=BatchItem.State.FILLED, task=None)
    if batch.kind != Batch.Kind.PROMPT:
        items = items.filter(prompt__state=Prompt.State.ACCEPTED)
    if batch.kind == Batch.Kind.RANKING:
        least, most = K_OF_ORDER[newest_version(batch.form_id).definition["order"]]
        shown = Count("completions", filter=~Q(completions__in=WITHHELD))
        items = items.annotate(found=shown).filter(found__gte=least, found__lte=most).exclude(waits_for_a_look())
    waiting = items.select_related("prompt").order_by("id")[:OPEN_AT_ONCE]
    tasks = Task.objects.bulk_create(
        Task(item=item, batch=batch, kind=batch.kind, shared=is_shared(item, batch.shared_percent)) for item in waiting
    )
    groups = seat_groups(batch)
    everybody = team_of(batch).count() if any(task.shared for task in tasks) else 0
    Seat.objects.bulk_create(
        Seat(
            task=task,
            batch=batch,
            number=number,
            groups=groups[number] if number < batch.overlap else shared_groups(batch),
            categories=task.item.categories,
        )
        for task in tasks
        for number in range(max(batch.overlap, everybody if task.shared else 0))
    )
    return len(tasks)


def is_shared(item: BatchItem, percent: int) -> bool:
    """Whether everybody answers this item, by a draw that stays what it was: of a batch, about `percent` in 100."""
    digest = hashlib.sha256(f"shared:{item.pk}:{item.prompt_id}".encode()).digest()
    return int.from_bytes(digest[:4]) * 100 < percent << 32


def shared_groups(batch: Batch) -> list[str]:
    """Whose answers a shared task is for: labelers', of the batch's groups."""
    return [group for group in batch.groups if group != User.Group.RESEARCHER]


def team_of(batch: Batch) -> QuerySet[User]:
    return User.objects.filter(is_active=True, role=User.Role.LABELER, group__in=shared_groups(batch))


def grow_shared() -> int:
    """Seats for people who joined since the shared tasks of open batches were opened; how many. For the sweep.

    Seats of people who left stay: whoever joins next has one.
    """
    return sum(_grow_shared(batch) for batch in Batch.objects.filter(state=Batch.State.OPEN, shared_percent__gt=0))


@transaction.atomic
def _grow_shared(batch: Batch) -> int:
    # One at a time for each batch, as in `open_some`.
    Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    everybody = team_of(batch).count()
    # Those of hidden checks are not the queue's.
    seats = Count("seats", filter=~Q(seats__groups=[]))
    short = Task.objects.filter(batch=batch, shared=True).annotate(there=seats, last=models.Max("seats__number"))
    tasks = short.filter(there__lt=everybody).select_related("item__prompt").order_by("id")[:OPEN_AT_ONCE]
    added = [
        Seat(
            task=task,
            batch=batch,
            number=task.last + 1 + number,
            groups=shared_groups(batch),
            categories=task.item.categories,
        )
        for task in tasks
        for number in range(everybody - task.there)
    ]
    try:
        with transaction.atomic():
            Seat.objects.bulk_create(added)
    except IntegrityError:
        return 0  # a check took a number this moment; the next sweep goes on
    return len(added)


def take_back_tasks(*, items: Sequence[int]) -> set[int]:
    """Undo the opening of these items' tasks where nobody has ever had one; the ids of the items that have none now.

    In the caller's transaction, which holds the batch's row lock: nothing is opened meanwhile. Whoever takes a seat
    locks it first, so of a task whose seats are all locked here nobody has one, and nobody gets one.
    """
    seats = Seat.objects.filter(task__item__in=items, state=Seat.State.FREE, task__leases=None)
    locked = Counter(
        seats.order_by("id").select_for_update(of=("self",), skip_locked=True).values_list("task_id", flat=True)
    )
    whole = Task.objects.filter(pk__in=locked, leases=None).annotate(wanted=Count("seats", distinct=True))
    idle = [task.pk for task in whole if task.wanted == locked[task.pk]]
    Seat.objects.filter(task__in=idle).delete()
    Task.objects.filter(pk__in=idle).delete()
    return set(BatchItem.objects.filter(pk__in=items, task=None).values_list("pk", flat=True))


def seat_groups(batch: Batch) -> list[list[str]]:
    """Who may take each of the `overlap` seats at a task of `batch`: any of its groups, or one where it has targets."""
    if not batch.group_targets:
        return [batch.groups] * batch.overlap
    return [[group] for group, wanted in batch.group_targets.items() for _ in range(wanted)]


# What features above do when a batch is closed, in its transaction: (batch, actor). They add themselves (apps.py).
CLOSED: list[Callable[..., None]] = []


@transaction.atomic(durable=True)
def close_batch(*, batch: Batch, actor: User | None) -> None:
    """Offer nobody another seat of `batch`. Who sits at a task may finish it."""
    _change_batch(batch, actor, "batch.closed", state=Batch.State.CLOSED)
    for follow in CLOSED:
        follow(batch=batch, actor=actor)


@transaction.atomic(durable=True)
def reopen_batch(*, batch: Batch, actor: User | None) -> None:
    """Offer the seats of `batch` again. Refusal for an imported one, which nobody serves."""
    if batch.imported:
        raise Refusal(_("This batch was brought in with its rankings; its tasks are not handed out."))
    _change_batch(batch, actor, "batch.reopened", state=Batch.State.OPEN)


@transaction.atomic(durable=True)
def set_priority(*, batch: Batch, priority: int, actor: User | None) -> None:
    """Tasks of higher priority are handed out first, at once. Between -32768 and 32767."""
    number = whole_number(priority, where=_("The priority"), low=-(2**15), high=2**15 - 1)
    _change_batch(batch, actor, "batch.prioritised", priority=number)


@transaction.atomic(durable=True)
def set_probation(*, batch: Batch, probation: bool, actor: User | None) -> None:
    """Serve `batch` to who is on probation, or to everybody else, at once.

    Refusal for an evaluation, an imported batch, a repeat, and one of reviews.
    """
    if probation and (batch.imported or batch.evaluation or batch.repeat_of_id or batch.review_of_id):
        raise Refusal(
            _("Newcomers prove themselves on new tasks: not on an evaluation, an import, a repeat, or on reviews.")
        )
    _change_batch(batch, actor, "batch.probation_set", probation=probation)


def _change_batch(batch: Batch, actor: User | None, action: str, **changes: object) -> None:
    """One row, however many seats: the queue reads these columns of the batch itself."""
    held = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    before = {name: getattr(held, name) for name in changes}
    Batch.objects.filter(pk=batch.pk).update(**changes)
    record(actor=actor, action=action, subject=batch, before=before, **changes)
    batch.refresh_from_db()


def lock_seats(seats: QuerySet[Seat]) -> None:
    """Lock many seats in one order everywhere: two updates of overlapping sets would else wait for each other."""
    list(seats.order_by("id").select_for_update(of=("self",), no_key=True).values_list("id", flat=True))


# Granting


def grant_lease(*, labeler: User, rng: random.Random | None = None) -> Lease | None:
    """The labeler's open lease, else the one fetched ahead, begun; else an own one that ran out and whose task has a
    seat, else a new one, else None. As `loaded` gives it.

    Before a new one leases that ran out are closed, whoever's they are. Raises NotAllowed for who may not work on
    tasks, a Gate for who gets none at the moment.

    `rng` draws the order in which a new lease shows its completions.
    """
    return _take_at_once(labeler, Lease.State.OPEN, check_gates(labeler), rng) or _grant(labeler, rng)


@transaction.atomic(durable=True)
def _grant(labeler: User, rng: random.Random | None) -> Lease | None:
    person = _lock_labeler(labeler)
    guideline = check_gates(person)
    lease = _own(person, Lease.State.OPEN)
    if lease is not None:
        _extend(lease)
    elif lease := _own(person, Lease.State.AHEAD):
        _begin(lease, guideline)
    else:
        return _take(person, Lease.State.OPEN, guideline, rng)
    return loaded(person).get(pk=lease.pk)


def fetch_ahead(*, labeler: User, rng: random.Random | None = None) -> Lease | None:
    """The lease that waits behind the labeler's open one: the one there is, else as `grant_lease` finds one.

    None where nothing waits, and where nothing is open that it could wait behind. It keeps its seat for AHEAD_SECONDS,
    and again with every sign of life at the open one; `renew_lease` begins it. Raises what `grant_lease` raises.
    """
    return _take_at_once(labeler, Lease.State.AHEAD, check_gates(labeler), rng) or _fetch_ahead(labeler, rng)


def go_on(
    *, labeler: User, lease_id: uuid.UUID | str, rng: random.Random | None = None
) -> tuple[Lease | None, Lease | None]:
    """What `grant_lease` and then `fetch_ahead` give to who has just answered and holds `lease_id` ahead.

    The first has no more than its id and clock where it is that one. Raises a Gate as they do.
    """
    guideline = check_gates(labeler)
    begun = _begin_at_once(labeler, guideline, _as_uuid(lease_id))
    if begun is None:
        begun = grant_lease(labeler=labeler, rng=rng)
    if begun is None:
        return None, None
    return begun, _take_at_once(labeler, Lease.State.AHEAD, guideline, rng) or _fetch_ahead(labeler, rng)


@transaction.atomic(durable=True)
def _fetch_ahead(labeler: User, rng: random.Random | None) -> Lease | None:
    person = _lock_labeler(labeler)
    guideline = check_gates(person)
    if _own(person, Lease.State.OPEN) is None:
        return None
    lease = _own(person, Lease.State.AHEAD)
    if lease is None:
        return _take(person, Lease.State.AHEAD, guideline, rng)
    _extend(lease)
    return loaded(person).get(pk=lease.pk)


def _own(person: User, state: str) -> Lease | None:
    return person.leases.select_for_update(no_key=True).filter(state=state).first()


def _take(person: User, state: str, guideline: int | None, rng: random.Random | None) -> Lease | None:
    _close_expired(limit=EXPIRE_AT_ONCE)
    chosen = apart.tasks_of(person)
    if chosen is not None:
        return _take_chosen(person, state, guideline, rng, chosen)
    again = _take_up_again(person, state, guideline)
    return loaded(person).get(pk=again.pk) if again else _take_next(person, state, guideline, rng)


def _lock_labeler(labeler: User) -> User:
    """The person, whose grants from here to the commit wait for each other: two tabs get one lease."""
    person = User.objects.select_for_update(no_key=True).get(pk=labeler.pk)
    if not person.is_active:
        raise NotAllowed(_("This account is switched off; ask an admin of your team."))
    if person.role not in (User.Role.LABELER, User.Role.RESEARCHER):
        raise NotAllowed(
            _("Tasks are for labelers and researchers; you are signed in as {role}.").format(role=person.role)
        )
    return person


# Who is on probation works on the batches for it alone, everybody else on all others. Researchers do both: their
# answers are what those of newcomers are compared with.
FOR_THEM = """
    (person."group" = 'researcher' OR batch.probation = (person.onboarding = 'probation'))
"""
# An imported batch carries rankings from elsewhere: its seats are there, and nobody is offered one.
SERVED = "batch.state <> 'closed' AND NOT batch.imported"


def seats_for(person: User) -> QuerySet[Seat]:
    """Free seats that `person` may be offered, in no order, for looking at one task's: `QUEUE` finds the next task."""
    served = ~Q(batch__state=Batch.State.CLOSED) & Q(batch__imported=False, groups__contains=[person.group])
    if person.group != User.Group.RESEARCHER:
        served &= Q(batch__probation=person.onboarding == User.Onboarding.PROBATION)
    own_check = Q(groups=[], adjudicates=False) & Exists(check_turns(person).filter(task=OuterRef("task")))
    shown = Q(task__item__prompt__isnull=True) | Q(task__item__prompt__state=Prompt.State.ACCEPTED)
    free = Seat.objects.filter(served | own_check, shown, state=Seat.State.FREE).exclude(author=person.pk)
    return free.exclude(categories__overlap=person.opted_out) if person.opted_out else free


def check_turns(person: User) -> QuerySet[CheckTurn]:
    """The hidden checks that were served to `person`: their seats stand apart, and are in no group's queue."""
    return CheckTurn.objects.filter(labeler=person.pk, served_at__isnull=False)


# Who asks, if they may work. Their row is locked first, so that somebody who is being paused is given nothing; `guard`
# may hold back more.
PERSON = """
    person AS MATERIALIZED (
        SELECT person.id, person."group", person.opted_out, person.onboarding
        FROM labeling_user person
        WHERE person.id = %(labeler)s AND person.is_active AND person.role IN ('labeler', 'researcher')
            AND person.paused_at IS NULL {guard}
    )
"""
# A prompt is shown to a labeler once in each kind of task. Unless the batch is a later round, which shows prompts
# again knowingly, or a planned repeat: that is for who answered the same prompt in the batch it repeats.
# A brief has no prompt, and NULL equals nothing: whoever wrote for one brief may write for the next.
# Written so that the planner cannot turn it round, whatever it thinks of the tables: from the seat to the few tasks of
# its prompt (OFFSET 0 keeps them apart), and from each by its few leases ("+ 0"), never by all those of the labeler.
HAD = """
    EXISTS (
        SELECT FROM (
            SELECT earlier.id
            FROM labeling_task task
            JOIN labeling_batchitem item ON item.id = task.item_id
            JOIN labeling_batchitem other ON other.prompt_id = item.prompt_id
            JOIN labeling_task earlier ON earlier.item_id = other.id AND earlier.kind = task.kind
            WHERE task.id = seat.task_id AND {which}
            OFFSET 0
        ) earlier
        WHERE (
            SELECT {counts} FROM labeling_lease had
            WHERE had.task_id = earlier.id AND had.labeler_id + 0 = %(labeler)s
        )
    )
"""
HAD_OTHER = HAD.format(which="earlier.id <> task.id", counts="true")
PLANNED = f"""
    CASE
        WHEN queue.repeat_of_id IS NOT NULL THEN
            {HAD.format(which="other.batch_id = queue.repeat_of_id", counts="had.state = 'submitted'")}
        WHEN queue.again THEN true
        ELSE NOT {HAD_OTHER}
    END
"""
# Seats of a prompt that is taken back are withheld, and in no queue. This is for one that was made, or given back, in
# that very moment. A brief has no prompt: NULL.
MAY_BE_SHOWN = """
    (
        SELECT prompt.state = 'accepted'
        FROM labeling_task task
        JOIN labeling_batchitem item ON item.id = task.item_id
        LEFT JOIN labeling_prompt prompt ON prompt.id = item.prompt_id
        WHERE task.id = seat.task_id
    ) IS NOT FALSE
"""
# Free seats for a labeler in the order of the queue: batches by priority and age, in each the seats by their place,
# beginning behind what the labeler has passed. The list of batches is made first and walked in its order; LATERAL
# then steps down one index a batch, so that nothing here grows with what waits or with what was done.
QUEUE = f"""
    queue AS MATERIALIZED (
        SELECT batch.id, batch.again, batch.repeat_of_id, coalesce(passed.place, 0) AS passed,
            person."group", person.opted_out, row_number() OVER (ORDER BY batch.priority DESC, batch.id) AS turn
        FROM person CROSS JOIN labeling_batch batch
        LEFT JOIN labeling_queueposition passed
            ON passed.batch_id = batch.id AND passed.labeler_id = %(labeler)s AND NOT %(anew)s
        WHERE {SERVED} AND batch.groups @> ARRAY[person."group"] AND {FOR_THEM}
        ORDER BY batch.priority DESC, batch.id
    ),
    picked AS MATERIALIZED (
        SELECT next.id, next.task_id, next.place, queue.id AS batch_id, queue.turn
        FROM queue, LATERAL (
            SELECT seat.id, seat.task_id, coalesce(seat.freed, seat.id) AS place
            FROM labeling_seat seat
            WHERE seat.batch_id = queue.id AND seat.state = 'free' AND coalesce(seat.freed, seat.id) > queue.passed
                AND seat.groups @> ARRAY[queue."group"] AND NOT seat.categories && queue.opted_out
                AND seat.author_id IS DISTINCT FROM %(labeler)s
                AND (
                    SELECT true FROM labeling_lease known
                    WHERE known.task_id = seat.task_id AND known.labeler_id + 0 = %(labeler)s {{known}}
                ) IS NULL
                AND {PLANNED}
                AND {MAY_BE_SHOWN}
            ORDER BY coalesce(seat.freed, seat.id)
            LIMIT {{limit}} {{lock}}
        ) next
        LIMIT {{limit}}
    )
"""
# What ran out or was given back waits again, as `grant_lease` sees it.
LOOK_AHEAD = (
    "WITH"
    + PERSON.replace("{guard}", "")
    + ","
    + QUEUE.format(known="AND known.state NOT IN ('expired', 'returned')", limit="%(limit)s", lock="")
    + "SELECT DISTINCT task_id FROM picked"
)
# What a task asks: its batch's form, none for the default one, whichever way the batch names it.
FORM_OF_BATCH = """
    nullif(batch.form_id, (SELECT usual.id FROM labeling_form usual WHERE usual.name = %(form)s))
"""
NEXT_KIND = (
    LOOK_AHEAD.replace("%(limit)s", "1").replace("SELECT DISTINCT task_id FROM picked", "")
    + f"""
    SELECT batch.kind, {FORM_OF_BATCH} FROM picked JOIN labeling_batch batch ON batch.id = picked.batch_id
"""
)
# After locking, PostgreSQL looks at the row's own columns again: `state` must therefore be one of them, and whoever
# takes a seat changes it before the commit. What somebody else is taking right now is passed.
LOCK = "FOR NO KEY UPDATE OF seat SKIP LOCKED"
# The batches in front of the one that had a seat have none for this labeler: all their seats are passed too.
# The keys are drawn outside; sorting K completions by K of them is a shuffle.
PICK = (
    QUEUE.format(known="", limit=1, lock=LOCK)
    + """,
    passed AS (
        INSERT INTO labeling_queueposition AS old (labeler_id, batch_id, place)
        SELECT %(labeler)s, batch_id, place FROM picked
        UNION ALL
        SELECT %(labeler)s, queue.id, last.place
        FROM picked JOIN queue ON queue.turn < picked.turn, LATERAL (
            SELECT coalesce(seat.freed, seat.id) AS place FROM labeling_seat seat
            WHERE seat.batch_id = queue.id AND seat.state = 'free' AND coalesce(seat.freed, seat.id) > queue.passed
            ORDER BY coalesce(seat.freed, seat.id) DESC LIMIT 1
        ) last
        ON CONFLICT (labeler_id, batch_id) DO UPDATE SET place = greatest(old.place, excluded.place)
    ),
    taken AS (
        UPDATE labeling_seat seat SET state = 'taken' FROM picked WHERE seat.id = picked.id
    )
"""
)
# A hidden check in place of the next in the queue: the first of its form that waits for this labeler, at a seat made
# for it, so that it takes nobody's. Two who make one at the same task at once meet in its number, and the second goes
# on in its queue. What the labeler had meanwhile in an ordinary task is no check any more.
PICK_CHECK = f"""
    due AS MATERIALIZED (
        SELECT turn.id, turn.task_id, task.batch_id, prompt.categories
        FROM person CROSS JOIN labeling_checkturn turn
        JOIN labeling_task task ON task.id = turn.task_id
        JOIN labeling_batch batch ON batch.id = task.batch_id
        JOIN labeling_batchitem item ON item.id = task.item_id
        JOIN labeling_prompt prompt ON prompt.id = item.prompt_id
        WHERE turn.labeler_id = %(labeler)s AND turn.served_at IS NULL AND prompt.state = 'accepted'
            AND NOT prompt.categories && person.opted_out
            AND {FORM_OF_BATCH} IS NOT DISTINCT FROM %(asked_form)s::bigint
            AND (
                SELECT true FROM labeling_lease known
                WHERE known.task_id = turn.task_id AND known.labeler_id + 0 = %(labeler)s
            ) IS NULL
            AND (
                turn.kind = 'anchor'
                OR NOT {HAD_OTHER.replace("seat.task_id", "turn.task_id")}
            )
        ORDER BY turn.id
        LIMIT 1 FOR NO KEY UPDATE OF turn SKIP LOCKED
    ),
    told AS (
        UPDATE labeling_checkturn turn SET served_at = now() FROM due WHERE turn.id = due.id
    ),
    made AS (
        INSERT INTO labeling_seat (task_id, batch_id, number, state, groups, categories)
        SELECT due.task_id, due.batch_id,
            (SELECT 1 + coalesce(max(seat.number), -1) FROM labeling_seat seat WHERE seat.task_id = due.task_id),
            'taken', '{{}}', due.categories
        FROM due
        RETURNING id, task_id, batch_id
    ),
    picked AS (SELECT id, task_id, batch_id FROM made)
"""
LEASE = """
    INSERT INTO labeling_lease (
        id, task_id, seat_id, labeler_id, state, guideline_id, form_version_id, order_shown, order_ranked, expires_at,
        skip_reason, draft, draft_version, active_seconds
    )
    SELECT
        %(lease)s, picked.task_id, picked.id, %(labeler)s, %(state)s, %(guideline)s::bigint,
        (
            SELECT version.id
            FROM labeling_batch batch
            JOIN labeling_form form ON form.id = batch.form_id OR batch.form_id IS NULL AND form.name = %(form)s
            JOIN labeling_formversion version ON version.form_id = form.id
            WHERE batch.id = picked.batch_id AND batch.kind = 'ranking'
            ORDER BY version.number DESC
            LIMIT 1
        ),
        orders.shown, orders.ranked,
        now() + %(seconds)s * interval '1 second', '', '{}', 0, 0
    FROM picked, LATERAL (
        SELECT
            coalesce(jsonb_agg(one.id ORDER BY (%(shuffle)s::float8[])[one.number]), '[]') AS shown,
            coalesce(jsonb_agg(one.id ORDER BY (%(reshuffle)s::float8[])[one.number]), '[]') AS ranked
        FROM (
            SELECT completion.id, row_number() OVER (ORDER BY completion.id) AS number
            FROM labeling_task task JOIN labeling_completion completion ON completion.item_id = task.item_id
            WHERE task.id = picked.task_id AND NOT EXISTS (
                SELECT FROM labeling_completionmark mark
                WHERE mark.completion_id = completion.id AND mark.state = 'withheld'
            )
        ) one
    ) orders
    RETURNING id
"""
TAKE = f"WITH {PERSON}, {PICK} {LEASE}"
TAKE_NEXT = TAKE.replace("{guard}", "FOR NO KEY UPDATE OF person")
# At once, where nothing stands before a new lease: the labeler holds just what is expected, has no work that could be
# taken up again, and no lease waits to be closed. Two tabs that see the same here meet in the unique indexes.
AT_ONCE = """
    AND %(behind)s = EXISTS (
        SELECT FROM labeling_lease held WHERE held.labeler_id = person.id AND held.state = 'open'
    )
    AND NOT EXISTS (SELECT FROM labeling_lease held WHERE held.labeler_id = person.id AND held.state = 'ahead')
    AND NOT EXISTS (
        SELECT FROM labeling_lease mine JOIN labeling_seat seat ON seat.task_id = mine.task_id AND seat.state = 'free'
        WHERE mine.labeler_id = person.id AND mine.state IN ('expired', 'returned') AND (
            seat.groups <> '{}' OR EXISTS (
                SELECT FROM labeling_checkturn turn WHERE turn.task_id = mine.task_id AND turn.labeler_id = person.id
            )
        )
    )
    AND NOT EXISTS (
        SELECT FROM labeling_lease late
        WHERE late.state IN ('open', 'ahead') AND late.expires_at <= now() - %(grace)s * interval '1 second'
    )
    FOR NO KEY UPDATE OF person
"""
TAKE_AT_ONCE = TAKE.replace("{guard}", AT_ONCE)
TAKE_CHECK = f"WITH {PERSON}, {PICK_CHECK} {LEASE}".replace("{guard}", AT_ONCE)
MOST_COMPLETIONS = 26


# The one fetched ahead, begun. Should it be given back at this moment, its state is looked at again, and it is not.
BEGIN_AT_ONCE = (
    "WITH"
    + PERSON.replace(
        "{guard}",
        """
    AND NOT EXISTS (SELECT FROM labeling_lease held WHERE held.labeler_id = person.id AND held.state = 'open')
    FOR NO KEY UPDATE OF person
""",
    )
    + """
    UPDATE labeling_lease lease
    SET state = 'open', guideline_id = %(guideline)s::bigint, granted_at = now(),
        expires_at = now() + %(seconds)s * interval '1 second'
    FROM person WHERE lease.labeler_id = %(labeler)s AND lease.state = 'ahead'
        AND lease.id = coalesce(%(expected)s::uuid, lease.id)
    RETURNING lease.id, lease.expires_at, lease.expires_at - now()
"""
)


def tasks_ahead(*, labeler: User, limit: int) -> list[str]:
    """The kinds of the different tasks that the next `limit` free seats for `labeler` belong to."""
    with connection.cursor() as cursor:
        for anew in (False, True):
            cursor.execute(LOOK_AHEAD, {"labeler": labeler.pk, "anew": anew, "limit": limit})
            if tasks := [task for (task,) in cursor]:
                return list(Task.objects.filter(pk__in=tasks).values_list("kind", flat=True))
    return []


def _take_at_once(labeler: User, state: str, guideline: int | None, rng: random.Random | None) -> Lease | None:
    """A new lease, or the one fetched ahead, by one statement that is its own transaction; None where there is more to
    look at."""
    asked = _asked(labeler, state, guideline, rng) | {"anew": False}
    asked |= {"behind": state == Lease.State.AHEAD, "grace": team_settings().lease_grace_seconds}
    try:
        row = _take_check(labeler, asked) or first_row(TAKE_AT_ONCE, asked)
    except IntegrityError:
        return None  # another tab was quicker
    if row is not None:
        return LOADED.first(row[0], labeler.pk)
    begun = _begin_at_once(labeler, guideline) if state == Lease.State.OPEN else None
    return LOADED.first(begun.pk, labeler.pk) if begun else None


def _take_check(labeler: User, asked: dict) -> tuple | None:
    """A lease on a hidden check, by a draw that nobody can foresee; None where there is none now. `check_gates` has
    looked whether one waits: most grants ask nothing more.

    Only in place of a task that asks the same: a check that came alone, or among tasks of another kind or form, would
    be known for one.
    """
    if not labeler.check_waits or SYSTEM_RANDOM.random() * 100 >= team_settings().check_percent:
        return None
    following = first_row(NEXT_KIND, {"labeler": labeler.pk, "anew": False, "form": DEFAULT_FORM})
    if following is None or following[0] != Batch.Kind.RANKING:
        return None
    try:
        return first_row(TAKE_CHECK, asked | {"asked_form": following[1]})
    except IntegrityError:
        return None  # somebody else is being seated at the same task, or another tab was quicker


def _begin_at_once(labeler: User, guideline: int | None, expected: uuid.UUID | None = None) -> Lease | None:
    """The one fetched ahead, begun, with no more than its id and clock; None where it is not the one `expected`, or
    there is more to look at."""
    asked = {"labeler": labeler.pk, "guideline": guideline, "seconds": _seconds(Lease.State.OPEN), "expected": expected}
    try:
        row = first_row(BEGIN_AT_ONCE, asked)
    except IntegrityError:
        return None  # another tab was quicker
    if row is None:
        return None
    begun = Lease(pk=row[0], state=Lease.State.OPEN, expires_at=row[1])
    begun.time_left = row[2]
    return begun


def _take_next(person: User, state: str, guideline: int | None, rng: random.Random | None) -> Lease | None:
    """A new lease on the next seat in the queue for `person`; None where nothing waits.

    Where nothing stands behind the labeler's position, the whole queue is looked at: a grant that was rolled back, or
    another group for this labeler, can leave seats in front of it.
    """
    asked = _asked(person, state, guideline, rng)
    for anew in (False, True):
        if row := first_row(TAKE_NEXT, asked | {"anew": anew}):
            return LOADED.first(row[0], person.pk)
    return None


def _take_chosen(
    person: User, state: str, guideline: int | None, rng: random.Random | None, chosen: QuerySet[Task]
) -> Lease | None:
    """The first of the `chosen` tasks that the person has not ended, on a seat of their group that is free there or is
    made now; what ran out or was given back is taken up in its turn.

    Seats of such groups stand in no queue: those of batches never have these groups.
    """
    done = person.leases.filter(task=OuterRef("pk")).exclude(state__in=LEFT)
    # One at a time at a task, so that two get two seats. The answers that wait for its seats do not wait for this.
    chosen = chosen.filter(item__prompt__state=Prompt.State.ACCEPTED)
    task = chosen.filter(~Exists(done)).select_for_update(of=("self",), no_key=True).first()
    if task is None:
        return None
    free = Seat.objects.filter(task=task, state=Seat.State.FREE, groups=[person.group])
    seat = free.order_by("id").select_for_update(skip_locked=True, no_key=True).first()
    if seat is None:
        last = task.seats.aggregate(last=models.Max("number"))["last"]
        seat = Seat.objects.create(
            task=task,
            batch_id=task.batch_id,
            number=0 if last is None else last + 1,
            groups=[person.group],
            categories=task.item.categories,
            state=Seat.State.TAKEN,
        )
    else:
        _take_seat(seat)
    lease = person.leases.select_for_update(no_key=True).filter(task=task).first()
    if lease is not None:
        lease.seat, lease.state, lease.ended_at, lease.guideline_id = seat, state, None, guideline
        lease.save(update_fields=["seat", "state", "ended_at", "guideline"])
        _extend(lease)
    else:
        shown = [str(each) for each in task.item.completions.exclude(pk__in=WITHHELD).values_list("pk", flat=True)]
        draw = rng or SYSTEM_RANDOM
        lease = Lease.objects.create(
            task=task,
            seat=seat,
            labeler=person,
            state=state,
            guideline_id=guideline,
            form_version=newest_version(task.batch.form_id) if task.kind == Batch.Kind.RANKING else None,
            order_shown=draw.sample(shown, len(shown)),
            order_ranked=draw.sample(shown, len(shown)),
            expires_at=_end_of_lease(state),
        )
    return LOADED.first(lease.pk, person.pk)


def _asked(person: User, state: str, guideline: int | None, rng: random.Random | None) -> dict:
    """The parameters of TAKE, all but `anew`."""
    draw = (rng or SYSTEM_RANDOM).random
    return {
        "labeler": person.pk,
        "lease": uuid.uuid4(),
        "state": str(state),
        "seconds": _seconds(state),
        "guideline": guideline,
        "form": DEFAULT_FORM,
        "shuffle": [draw() for _ in range(MOST_COMPLETIONS)],
        "reshuffle": [draw() for _ in range(MOST_COMPLETIONS)],
    }


def loaded(labeler: User) -> QuerySet[Lease]:
    """The labeler's own leases, each with what a page shows of it and its `time_left` by the database's clock."""
    left = ExpressionWrapper(F("expires_at") - Now(), output_field=models.DurationField())
    own = Lease.objects.filter(labeler=labeler.pk)
    return own.select_related("task__item__prompt", "form_version", "guideline").annotate(time_left=left)


SOME_LEASE, SOME_LABELER = uuid.UUID(int=0), -1
LOADED = Prepared(loaded(User(pk=SOME_LABELER)).filter(pk=SOME_LEASE), SOME_LEASE, SOME_LABELER)


def _take_up_again(person: User, state: str, guideline: int | None) -> Lease | None:
    free = seats_for(person).filter(task=OuterRef("task"))
    lease = (
        # Locked means: it is being submitted or skipped at this moment.
        person.leases.select_for_update(skip_locked=True, no_key=True)
        .filter(Exists(free), state__in=LEFT, adjudicates=False)
        .order_by("-granted_at")
        .first()
    )
    if lease is None or not _sit_down_again(person, lease, state, guideline):
        return None
    return lease


def _sit_down_again(person: User, lease: Lease, state: str, guideline: int | None) -> bool:
    free = Seat.objects.filter(adjudicates=True, state=Seat.State.FREE) if lease.adjudicates else seats_for(person)
    seat = (
        free.filter(task_id=lease.task_id)
        .order_by("id")
        .select_for_update(skip_locked=True, of=("self",), no_key=True)
        .first()
    )
    if seat is None:
        return False
    _take_seat(seat)
    lease.seat, lease.state, lease.ended_at, lease.guideline_id = seat, state, None, guideline
    lease.save(update_fields=["seat", "state", "ended_at", "guideline"])
    _extend(lease)
    return True


def _take_seat(seat: Seat) -> None:
    seat.state = Seat.State.TAKEN
    seat.save(update_fields=["state"])


def _seconds(state: str) -> int:
    held = team_settings()
    return held.ahead_seconds if state == Lease.State.AHEAD else held.lease_seconds


def _end_of_lease(state: str) -> ExpressionWrapper:
    return ExpressionWrapper(Now() + timedelta(seconds=_seconds(state)), output_field=models.DateTimeField())


def _extend(lease: Lease) -> None:
    """The full time again, for what waits behind an open lease too."""
    Lease.objects.filter(pk=lease.pk).update(expires_at=_end_of_lease(lease.state))
    if lease.state == Lease.State.OPEN:
        ahead = Lease.objects.filter(labeler=lease.labeler_id, state=Lease.State.AHEAD)
        ahead.update(expires_at=_end_of_lease(Lease.State.AHEAD))
    lease.refresh_from_db(fields=["expires_at"])


def _begin(lease: Lease, guideline: int | None) -> None:
    lease.state, lease.guideline_id = Lease.State.OPEN, guideline
    Lease.objects.filter(pk=lease.pk).update(
        state=lease.state, guideline=guideline, granted_at=Now(), expires_at=_end_of_lease(lease.state)
    )
    lease.refresh_from_db(fields=["granted_at", "expires_at"])


# While a labeler works

OWN = Lease.objects.select_related("task__item__prompt", "labeler", "form_version").annotate(
    held_for=ExpressionWrapper(Now() - F("granted_at"), output_field=models.DurationField()),
    corrected_for=ExpressionWrapper(Now() - F("correction_opened_at"), output_field=models.DurationField()),
)
READ_OWN = Prepared(OWN.filter(pk=SOME_LEASE, labeler=SOME_LABELER), SOME_LEASE, SOME_LABELER)


def lock_lease(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """`get_own`, locked to the commit."""
    locked = OWN.select_for_update(of=("self",), no_key=True)
    lease = locked.filter(pk=_as_uuid(lease_id), labeler=labeler.pk).first()
    if lease is not None and lease.state in LEFT:
        # What was waited for may have given it back and changed the person, whose row is of before the wait.
        lease.labeler.refresh_from_db()
    return _checked(lease)


def get_own(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """The labeler's own lease, with task, prompt and labeler. `held_for` is its age, `corrected_for` how long ago its
    answer was opened to be corrected, None where it was not.

    NotFound for an unknown id and for another person's lease alike. NotAllowed once the account is switched off.
    """
    return _checked(READ_OWN.first(_as_uuid(lease_id), labeler.pk))


def is_taken_back(lease: Lease) -> bool:
    """Whether its prompt is held, dropped or erased, so that nobody is to read it, and it is not answered."""
    prompt = lease.task.item.prompt
    return lease.erased and lease.state in (*HELD, *LEFT) or _waits(lease, prompt)


def why_taken_back(lease: Lease) -> Conflict:
    """The refusal of a lease that `is_taken_back`."""
    return PromptErased() if lease.erased else PromptTakenBack()


def _waits(lease: Lease, prompt: Prompt | None) -> bool:
    return lease.state in (*HELD, *LEFT) and prompt is not None and prompt.state != Prompt.State.ACCEPTED


def _checked(lease: Lease | None) -> Lease:
    if lease is None:
        raise NotFound(_(NO_SUCH_TASK))
    if not lease.labeler.is_active:
        raise NotAllowed(_("This account is switched off; ask an admin of your team."))
    if lease.erased:
        raise PromptErased
    return lease


def _as_uuid(value: uuid.UUID | str) -> uuid.UUID | None:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(str(value))
    except ValueError:
        return None


@transaction.atomic(durable=True)
def renew_lease(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """The lease with its full time again. One that was fetched ahead is begun; one that ran out takes a free seat of
    its task, if there is one.

    Raises LeaseExpired where there is none, LeaseEnded after an answer or a skip, Conflict for one that waits behind
    an open one, a Gate for who gets no task now.
    """
    person = _lock_labeler(labeler)
    lease = lock_lease(lease_id=lease_id, labeler=person)
    if lease.state == Lease.State.OPEN:
        _extend(lease)
    elif lease.state == Lease.State.AHEAD:
        if person.leases.filter(state=Lease.State.OPEN).exists():
            raise Conflict(_("This task waits behind the one you have open; answer that one or give it back first."))
        _begin(lease, check_gates(person))
    elif lease.state not in LEFT:
        raise LeaseEnded(
            _("You have {state} this task; there is no time to renew. Take the next one.").format(
                state=in_words(lease.state)
            )
        )
    elif is_taken_back(lease):
        raise why_taken_back(lease)
    # The gates too: a tab that was left open must not take a seat for somebody on a break.
    elif person.leases.filter(state=Lease.State.OPEN).exists() or not _sit_down_again(
        person, lease, Lease.State.OPEN, check_gates(person)
    ):
        raise LeaseExpired(
            _("The time for this task ran out and its place is gone. Your draft is saved, and you can still submit it.")
        )
    return lease


# The rules of `_save_draft` for what nearly every draft is: a newer one of an open lease. With it the one fetched ahead
# keeps its seat.
SAVE_AT_ONCE = """
    WITH saved AS (
        UPDATE labeling_lease lease
        SET draft = %(draft)s::jsonb, draft_version = %(version)s::bigint, draft_at = now(),
            expires_at = now() + %(seconds)s * interval '1 second'
        FROM labeling_user person
        WHERE lease.id = %(lease)s AND lease.labeler_id = %(labeler)s AND lease.state = 'open'
            AND lease.draft_version < %(version)s::bigint AND person.id = lease.labeler_id AND person.is_active
        RETURNING lease.expires_at
    ),
    kept AS (
        UPDATE labeling_lease ahead SET expires_at = now() + %(ahead_seconds)s * interval '1 second'
        FROM saved WHERE ahead.labeler_id = %(labeler)s AND ahead.state = 'ahead'
    )
    SELECT expires_at, expires_at - now() FROM saved
"""


def save_draft(*, lease_id: uuid.UUID | str, labeler: User, draft: Any, version: Any) -> tuple[Lease, bool]:
    """The lease with its clock, and whether `draft` was kept: one with the stored version's number or an older one
    never replaces it.

    Also after the time ran out. Saving is a sign of life and renews an open lease. Raises LeaseEnded after an answer.
    """
    if not isinstance(draft, dict):
        raise Refusal(_("`draft` must be a JSON object with whatever the page needs to show your work again."))
    number = whole_number(version, where="`version`", low=1, high=2**63 - 1)
    written = canonical_json(draft)
    if len(written) > DRAFT_BYTES:
        raise Refusal(_("The draft is larger than {draft_bytes} bytes; shorten it.").format(draft_bytes=DRAFT_BYTES))
    asked = {"lease": _as_uuid(lease_id), "labeler": labeler.pk, "draft": written.decode(), "version": number}
    row = first_row(
        SAVE_AT_ONCE, asked | {"seconds": _seconds(Lease.State.OPEN), "ahead_seconds": _seconds(Lease.State.AHEAD)}
    )
    if row is None:
        return _save_draft(lease_id, labeler, draft, number)
    lease = Lease(pk=asked["lease"], state=Lease.State.OPEN, expires_at=row[0], draft=draft, draft_version=number)
    lease.time_left = row[1]
    return lease, True


@transaction.atomic(durable=True)
def _save_draft(lease_id: uuid.UUID | str, labeler: User, draft: dict, number: int) -> tuple[Lease, bool]:
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.state not in (*HELD, *LEFT):
        raise LeaseEnded(_("You have {state} this task; its draft is closed.").format(state=in_words(lease.state)))
    newer = number > lease.draft_version
    if newer:
        Lease.objects.filter(pk=lease.pk).update(draft=draft, draft_version=number, draft_at=Now())
    if lease.state == Lease.State.OPEN:
        _extend(lease)
    return loaded(labeler).get(pk=lease.pk), newer


# Leaving


@transaction.atomic(durable=True)
def skip_lease(*, lease_id: uuid.UUID | str, labeler: User, reason: Any) -> Lease:
    """Free the seat and never offer this task to this labeler again. Skipping twice is skipping once."""
    if not isinstance(reason, str) or not reason.strip():
        raise Refusal(_("Say in a few words why you skip this task; the team reads it."))
    if len(reason) > REASON_CHARACTERS:
        raise Refusal(
            _("The reason has {count} characters; at most {reason_characters} are kept. Shorten it.").format(
                count=len(reason), reason_characters=REASON_CHARACTERS
            )
        )
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.state == Lease.State.SUBMITTED:
        raise LeaseEnded(_("You have submitted this task already; correct your answer instead of skipping."))
    if lease.state != Lease.State.SKIPPED:
        leave(lease, Lease.State.SKIPPED, skip_reason=reason)
    return lease


@transaction.atomic(durable=True)
def return_lease(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """Free the seat and keep the draft: the task is the first to come back, if it still has a seat by then.

    Who gives back the open task leaves: the one fetched ahead behind it goes back too.
    """
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.state in (Lease.State.SUBMITTED, Lease.State.SKIPPED):
        raise LeaseEnded(
            _("You have {state} this task already; there is nothing to give back.").format(state=in_words(lease.state))
        )
    if lease.state == Lease.State.OPEN and (ahead := _own(lease.labeler, Lease.State.AHEAD)):
        leave(ahead, Lease.State.RETURNED)
    if lease.state in HELD:
        leave(lease, Lease.State.RETURNED)
    return lease


@transaction.atomic(durable=True)
def return_ahead(*, labeler: User) -> None:
    """Free the seat that was fetched ahead, for a labeler who pauses or signs out. What is open stays open."""
    if ahead := _own(labeler, Lease.State.AHEAD):
        leave(ahead, Lease.State.RETURNED)


def leave(lease: Lease, state: str, **changes: object) -> None:
    """End a locked lease in `state` and free its seat."""
    if lease.seat_id is not None:
        Seat.objects.filter(pk=lease.seat_id).update(**FREED)
    Lease.objects.filter(pk=lease.pk).update(state=state, seat=None, ended_at=Now(), **changes)
    lease.refresh_from_db(fields=["state", "seat", "ended_at", *changes])


def expire_leases() -> int:
    """Close every lease that ran out and free its seat; how many. One that was never begun counts as given back.

    For the sweep: grants close only the oldest.
    """
    closed = 0
    while count := _expire_some():
        closed += count
    return closed


@transaction.atomic(durable=True)
def _expire_some() -> int:
    return _close_expired(limit=EXPIRE_AT_ONCE)


def _close_expired(*, limit: int) -> int:
    # SKIP LOCKED: its labeler is at it this moment, or another grant closes it.
    held = dict(
        Lease.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(state__in=HELD, expires_at__lte=Now() - timedelta(seconds=team_settings().lease_grace_seconds))
        .order_by("expires_at")[:limit]
        .values_list("id", "seat_id")
    )
    if not held:
        return 0
    never_begun = When(state=Lease.State.AHEAD, then=Value(Lease.State.RETURNED))
    state = Case(never_begun, default=Value(Lease.State.EXPIRED))
    Lease.objects.filter(pk__in=held).update(state=state, seat=None, ended_at=Now())
    lock_seats(Seat.objects.filter(pk__in=held.values()))
    Seat.objects.filter(pk__in=held.values()).update(**FREED)
    return len(held)


# Answers


@dataclass(frozen=True)
class Place:
    """Where an answer goes: it is a repeat of `earlier`, or a new row with these `fields`."""

    earlier: Any
    fields: dict[str, Any]


# The rules of `settle_lease` for what nearly every answer is: the first one to a lease that has its seat. After waiting
# for the lease's lock PostgreSQL looks at its row again, so that of two answers one is stored here, and the other finds
# a lease that is no longer held and goes the longer way, where it is told what it clashes with.
SETTLE = """
    WITH held AS MATERIALIZED (
        SELECT lease.id, lease.seat_id FROM labeling_lease lease
        WHERE lease.id = %s AND lease.labeler_id = %s AND lease.state IN ('open', 'ahead')
        FOR NO KEY UPDATE
    ),
    filled AS (
        UPDATE labeling_seat seat SET state = 'filled' FROM held WHERE seat.id = held.seat_id
    ),
    done AS (
        UPDATE labeling_lease lease
        SET state = 'submitted', ended_at = now(), draft = '{}', active_seconds = lease.active_seconds + %s
        FROM held WHERE lease.id = held.id
    )
"""


def settle_at_once(*, lease: Lease, answer: models.Model, parts: Sequence[models.Model] = ()) -> bool:
    """Store the first answer to a held lease, with its `parts`, by one statement that is its own transaction. False,
    and nothing stored, where the lease is not held any more: `settle_lease` has the rules for that.

    `answer` and `parts` are unsaved rows as `first_answer` and the caller made them; `answer` gets its `created_at`.
    """
    inserted, values = _insert([answer])
    statement = f"{SETTLE}, answer AS ({inserted} RETURNING created_at)"
    if parts:
        more, values_of_parts = _insert(parts)
        statement, values = f"{statement}, parts AS ({more})", values + values_of_parts
    asked = [lease.pk, lease.labeler_id, answer.active_seconds, *values]
    row = first_row(f"{statement} SELECT created_at FROM answer", asked)
    if row is None:
        return False
    (answer.created_at,) = row
    answer._state.adding = False
    return True


def _insert(rows: Sequence[models.Model]) -> tuple[str, list]:
    """INSERT of all `rows`, where a lease is held; and its values. What the database fills in itself is left to it."""
    fields, start, row = _columns(type(rows[0]))
    values = [field.get_db_prep_save(field.pre_save(each, True), connection) for each in rows for field in fields]
    return f"{start} SELECT given.* FROM held, (VALUES {', '.join([row] * len(rows))}) given", values


@cache
def _columns(model: type[models.Model]) -> tuple[list[models.Field], str, str]:
    """The fields to fill in, how the INSERT begins, and the place of one row's values."""
    fields = [
        field
        for field in model._meta.concrete_fields
        if field.db_default is NOT_PROVIDED and not isinstance(field, models.AutoField)
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    # The type too: a column that is NULL in every row would else be text.
    row = "(" + ", ".join(f"%s::{field.db_type(connection)}" for field in fields) + ")"
    return fields, f"INSERT INTO {model._meta.db_table} ({columns})", row


def first_answer(lease: Lease, *, idempotency_key: str, digest: str, head: Head) -> dict[str, Any] | None:
    """The fields of the first answer to `lease`, read by `get_own` and not locked; None where this cannot be one."""
    if lease.state not in HELD or head.replaces is not None or head.revision not in (None, 1):
        return None
    return _fields(lease, None, idempotency_key=idempotency_key, digest=digest, head=head) | {"surplus": False}


def settle_lease(*, lease: Lease, answers: QuerySet, idempotency_key: str, digest: str, head: Head) -> Place:
    """Find the place of an answer to a locked lease, and seat it: `answers` are those that this lease has.

    The first answer fills the lease's seat, or a free one of the task when the time ran out, or is surplus. A
    correction must name the latest answer and say why. Raises LeaseEnded after a skip, AnsweredAlready for a second
    answer that names none, CorrectionClosed for one that comes too late, BadAnswer for one without a reason, Conflict
    for a key that was used for something else.
    """
    given = list(answers.filter(lease=lease).order_by("revision"))
    for answer in given:
        if answer.idempotency_key == idempotency_key:
            if answer.payload_sha256 == digest:
                return Place(earlier=answer, fields={})
            raise Conflict(
                _(
                    "This Idempotency-Key was used for another answer to this task, which is stored. To correct "
                    "it, send a new key and name that answer in `replaces`."
                )
            )
    if lease.state == Lease.State.SKIPPED:
        raise LeaseEnded(_("You skipped this task, and its place was given on; take the next one."))
    latest = given[-1] if given else None
    _check_revision(latest, head)
    if latest is not None:
        _check_correction(lease, head)
    fields = _fields(lease, latest, idempotency_key=idempotency_key, digest=digest, head=head)
    fields["surplus"] = latest.surplus if latest else not _fill_seat(lease)
    changes: dict[str, Any] = {"active_seconds": F("active_seconds") + fields["active_seconds"]}
    if latest is None:
        changes |= {"state": Lease.State.SUBMITTED, "seat": lease.seat, "ended_at": Now(), "draft": {}}
    else:
        changes |= {"sent_back": False, "correction_opened_at": None}
    Lease.objects.filter(pk=lease.pk).update(**changes)
    return Place(earlier=None, fields=fields)


def _fields(lease: Lease, latest: Any, *, idempotency_key: str, digest: str, head: Head) -> dict[str, Any]:
    """What every answer has, but `surplus`."""
    person = lease.labeler
    return {
        "lease": lease,
        "task": lease.task,
        "labeler": person,
        # A correction is the same answer, whatever group its labeler is in by now.
        "group": latest.group if latest else person.group,
        "origin": "simulated" if person.is_simulated else "workbench",
        "revision": latest.revision + 1 if latest else 1,
        "replaces": latest,
        "correction_reason": head.reason if latest else "",
        "idempotency_key": idempotency_key,
        "payload_sha256": digest,
        "active_seconds": counted_seconds(head.active_seconds, lease.corrected_for if latest else lease.held_for),
    }


def counted_seconds(active_seconds: int, since: timedelta | None) -> int:
    """What counts of the browser's count of active time: never more than went by, and nothing where nothing began."""
    return min(active_seconds, max(0, int(since.total_seconds()))) if since is not None else 0


@transaction.atomic(durable=True)
def begin_correction(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """The labeler opens their answer to correct it: from now on their time at the correction counts, until that is
    stored. Opened twice it counts from the first time.

    LeaseEnded for a task that has no answer, CorrectionClosed for one that is too old to be corrected.
    """
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    if lease.state != Lease.State.SUBMITTED:
        raise LeaseEnded(_("This task has no answer of yours to correct; answer it."))
    _check_open(lease)
    if lease.correction_opened_at is None:
        Lease.objects.filter(pk=lease.pk).update(correction_opened_at=Now())
        lease.refresh_from_db(fields=["correction_opened_at"])
    return lease


def _check_revision(latest: Any, head: Head) -> None:
    if latest is None:
        if head.replaces is not None:
            raise Conflict(_("`replaces` names an answer, and this task has none of yours yet; leave it null."))
        if head.revision not in (None, 1):
            raise Conflict(
                _("`revision` is {revision}, and this is your first answer to this task; send 1.").format(
                    revision=head.revision
                )
            )
    elif head.replaces is None:
        raise AnsweredAlready(
            _("You have answered this task already. To correct your answer, name it in `replaces`."),
            answer=str(latest.pk),
            revision=latest.revision,
        )
    elif head.replaces != str(latest.pk):
        raise AnsweredAlready(
            _("`replaces` does not name your latest answer to this task; reload it and correct that one."),
            answer=str(latest.pk),
            revision=latest.revision,
        )
    elif head.revision not in (None, latest.revision + 1):
        raise Conflict(
            _("`revision` is {revision}; this correction is number {number}.").format(
                revision=head.revision, number=latest.revision + 1
            )
        )


def _check_correction(lease: Lease, head: Head) -> None:
    _check_open(lease)
    if not head.reason:
        raise BadAnswer(_("Say in `reason` why you correct your answer; a few words do."))


def _check_open(lease: Lease) -> None:
    hours = team_settings().correction_hours
    recent = Q(ended_at__gt=Now() - timedelta(hours=hours))
    if not lease.sent_back and not Lease.objects.filter(recent, pk=lease.pk).exists():
        raise CorrectionClosed(
            _(
                "An answer can be corrected for {hours} hours, and this one is older. Ask an admin where it matters."
            ).format(hours=hours)
        )


def _own_kind_of_seat(lease: Lease) -> Q:
    """Seats that decide and those of hidden checks are in no queue, and who is served apart has seats of their own."""
    if lease.adjudicates or check_turns(lease.labeler).filter(task=lease.task_id).exists():
        return Q(groups=[])
    apart_groups = Q(groups__overlap=list(apart.CHOSEN))
    return apart_groups if lease.labeler.group in apart.CHOSEN else ~apart_groups & ~Q(groups=[])


def _fill_seat(lease: Lease) -> bool:
    """Fill the lease's own seat, or one that is free at its task; False when there is none. Sets `lease.seat`."""
    if lease.state not in HELD:
        # Waits where _lock_next skips: a seat that is being freed or taken decides between filled and surplus.
        lease.seat = (
            Seat.objects.select_for_update(no_key=True)
            # Withheld ones too: who was at work when the prompt was taken back loses nothing by it.
            .filter(task_id=lease.task_id, state__in=[Seat.State.FREE, Seat.State.WITHHELD])
            .filter(adjudicates=lease.adjudicates)
            .filter(_own_kind_of_seat(lease))
            .order_by("id")
            .first()
        )
    if lease.seat_id is None:
        return False
    Seat.objects.filter(pk=lease.seat_id).update(state=Seat.State.FILLED)
    return True
