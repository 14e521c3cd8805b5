"""Compare the answers to a task once it has all of them, and ask for more where they disagree.

Nothing here is part of taking an answer: a worker looks at what came in since (`look`), or at a whole batch whose rule
was changed (`look_through`). Both can run at any time and any number of times: a task's case is locked, its answers are
read anew, and what was seen before is not acted upon again.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.adjudication.disagreement import RANKED, Apart, Opinion, disagreement_of
from labeling.adjudication.models import (
    MOST_SEATS,
    AdjudicationCase,
    AdjudicationLook,
    AdjudicationRequest,
    AdjudicationReveal,
    AdjudicationRule,
    Assessment,
)
from labeling.audit.services import record
from labeling.background import services as background
from labeling.intake.models import Prompt
from labeling.leasing.adjudicating import open_deciding_seat, open_more_seats, take_decision, withdraw_seats
from labeling.leasing.models import CheckTurn, Lease, Seat, Task
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.text import check_text

State, Policy = AdjudicationCase.State, AdjudicationRule.Policy
TASKS_AT_ONCE = 200  # in one transaction
ANSWERS_AT_ONCE = 2_000
# An answer bears the time at which its transaction began; one seen now may have begun so long before.
SLACK = timedelta(seconds=60)
# Without an end after so long, whoever began to look has gone.
ABANDONED = timedelta(minutes=5)
# A task that has more answers than this is compared by its first.
MOST_ANSWERS = 40
REASON_CHARACTERS = 500


# Rules


@dataclass(frozen=True)
class Rule:
    """What holds for a batch. `threshold` in percent."""

    policy: str = Policy.OFF
    threshold: int = 40
    seats: int = 1
    most: int = 2


def set_rule(*, batch: Batch | None, policy: str, threshold: int, seats: int, most: int, actor: User) -> None:
    """What happens to tasks of `batch` whose labelers disagree; with no batch, of all batches that have no rule.

    A job looks at the answers that are there already. What was opened before stays open. Refusal for figures that make
    no sense, and for a batch in which nothing is ranked.
    """
    if policy not in Policy.values:
        raise Refusal(_("The policy must be one of {values}.").format(values=", ".join(Policy.values)))
    _check_number(_("The threshold, in percent,"), threshold, 0, 99)
    _check_number(_("The number of seats in all"), most, 1, MOST_SEATS)
    _check_number(_("The number of seats at a time"), seats, 1, most)
    if batch is not None and batch.kind != Batch.Kind.RANKING:
        raise Refusal(_("Only rankings are compared; this batch asks for something else."))
    given = {"policy": str(policy), "threshold": threshold, "seats": seats, "most": most}
    with transaction.atomic(durable=True):
        before = AdjudicationRule.objects.select_for_update().filter(batch=batch).first()
        AdjudicationRule.objects.update_or_create(batch=batch, defaults=given)
        _note_rule(batch, actor, before, given)


def clear_rule(*, batch: Batch, actor: User) -> None:
    """The team's default holds for `batch` again."""
    with transaction.atomic(durable=True):
        before = AdjudicationRule.objects.select_for_update().filter(batch=batch).first()
        AdjudicationRule.objects.filter(batch=batch).delete()
        _note_rule(batch, actor, before, {"policy": "team"})


def _check_number(what: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(
            _("{what} must be a whole number from {least} to {most}.").format(what=what, least=least, most=most)
        )


def _note_rule(batch: Batch | None, actor: User, before: AdjudicationRule | None, given: dict) -> None:
    was = {name: getattr(before, name) for name in ("policy", "threshold", "seats", "most")} if before else None
    record(actor=actor, action="adjudication.rule", subject=batch or actor, before=was, **given)
    background.enqueue(kind="look_for_disagreement", arguments={"batch": batch.pk if batch else None}, created_by=actor)


def rules_of(batches: Collection[Batch]) -> dict[int, Rule]:
    """The rule that holds for each batch, by its id."""
    asked = AdjudicationRule.objects.filter(Q(batch=None) | Q(batch__in=[batch.pk for batch in batches]))
    rules = {rule.batch_id: Rule(rule.policy, rule.threshold, rule.seats, rule.most) for rule in asked}
    off = Rule()
    return {
        batch.pk: rules.get(batch.pk) or (rules.get(None, off) if has_teams_rule(batch) else off) for batch in batches
    }


def has_teams_rule(batch: Batch) -> bool:
    """Whether the team's default is meant for it: not for what measures models, newcomers or labelers themselves."""
    measures = batch.evaluation or batch.probation or batch.repeat_of_id is not None
    return batch.kind == Batch.Kind.RANKING and not measures


# Looking


def look() -> dict[str, int]:
    """Compare the answers to all tasks that got one since the last look; how many cases by what came of them.

    Costs what came in since, whatever there was before. Returns nothing where another worker is at it.
    """
    AdjudicationLook.objects.bulk_create([AdjudicationLook()], ignore_conflicts=True)
    free = Q(began_at=None) | Q(began_at__lt=Now() - ABANDONED)
    if not AdjudicationLook.objects.filter(free).update(began_at=Now()):
        return {}
    mine = AdjudicationLook.objects.get()
    try:
        done: Counter = Counter()
        if AdjudicationRule.objects.exclude(policy=Policy.OFF).exists() or AdjudicationRequest.objects.exists():
            for tasks in _tasks_with_answers_since(mine.read_at - SLACK):
                done += assess(tasks=tasks)
    except BaseException:
        AdjudicationLook.objects.filter(began_at=mine.began_at).update(began_at=None)
        raise
    AdjudicationLook.objects.filter(began_at=mine.began_at).update(began_at=None, read_at=mine.began_at)
    return dict(done)


def _tasks_with_answers_since(since: datetime) -> Iterator[list[uuid.UUID]]:
    last: tuple = (since, uuid.UUID(int=0))
    while True:
        answers = Ranking.objects.filter(
            Q(created_at__gte=last[0]) & (Q(created_at__gt=last[0]) | Q(pk__gt=last[1]))
        ).order_by("created_at", "id")
        found = list(answers.values_list("created_at", "id", "task_id")[:ANSWERS_AT_ONCE])
        yield from _some_at_once(dict.fromkeys(task for _time, _id, task in found))
        if len(found) < ANSWERS_AT_ONCE:
            return
        last = found[-1][:2]


def _some_at_once(tasks: Iterable[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    remaining = iter(tasks)
    while some := list(islice(remaining, TASKS_AT_ONCE)):
        yield some


def look_through(*, batch: Batch | None, beat: Callable[..., None] = lambda **_: None) -> dict[str, int]:
    """Compare the answers to all tasks of `batch`; with no batch, of all that have no rule of their own."""
    tasks = Task.objects.filter(kind=Batch.Kind.RANKING)
    if batch is not None:
        tasks = tasks.filter(batch=batch)
    else:
        own = AdjudicationRule.objects.filter(batch__isnull=False).values("batch")
        measures = Q(batch__evaluation=True) | Q(batch__probation=True) | Q(batch__repeat_of__isnull=False)
        tasks = tasks.exclude(batch__in=own).exclude(measures)
    done: Counter = Counter()
    looked = 0
    keys = tasks.order_by().values_list("pk", flat=True).iterator(chunk_size=TASKS_AT_ONCE)
    for some in _some_at_once(keys):
        done += assess(tasks=some)
        looked += len(some)
        beat(done=looked)
    return dict(done)


def look_when_closed(*, batch: Batch, actor: User | None) -> None:
    """A job that looks at all tasks of a batch that is being closed, those too that never got all their answers."""
    if batch.kind != Batch.Kind.RANKING or batch.imported:
        return
    sent = AdjudicationRequest.objects.filter(task__batch=batch)
    if rules_of([batch])[batch.pk].policy != Policy.OFF or sent.exists():
        background.enqueue(kind="look_for_disagreement", arguments={"batch": batch.pk}, created_by=actor)


@dataclass(frozen=True)
class Standing:
    """The answers to one task, the newest of each labeler, in the order in which they are called A, B, C …."""

    answers: list[str]
    opinions: list[Opinion]
    seats: list[dict]
    # Ids of seats that somebody opened by hand, and whether somebody sent it to a researcher.
    by_hand: frozenset[int] = frozenset()
    to_researcher: bool = False

    @property
    def complete(self) -> bool:
        """Every seat of its labelers is filled."""
        return all(seat["state"] == Seat.State.FILLED for seat in self.of_labelers)

    @property
    def waits_by_hand(self) -> bool:
        """Whether a seat that was opened by hand waits for its answer."""
        return any(seat["state"] != Seat.State.FILLED and seat["id"] in self.by_hand for seat in self.of_labelers)

    @property
    def by_rule(self) -> list[dict]:
        """Seats of labelers that nobody opened by hand."""
        return [seat for seat in self.of_labelers if seat["id"] not in self.by_hand]

    @property
    def of_labelers(self) -> list[dict]:
        return [seat for seat in self.seats if not seat["adjudicates"]]


@transaction.atomic(durable=True)
def assess(*, tasks: Sequence[uuid.UUID]) -> Counter:
    """Compare the answers to those of `tasks` (some hundreds at most) that have all of them, or all that they will get
    in a batch that was closed, or whose answers were corrected since they were compared, and act on what is found; how
    many cases by their state.
    """
    found = {task.pk: task for task in Task.objects.filter(pk__in=tasks).select_related("batch", "item__prompt")}
    rules = rules_of({task.batch_id: task.batch for task in found.values()}.values())
    sent = set(AdjudicationRequest.objects.filter(task__in=found).values_list("task", flat=True))
    asked = sorted(pk for pk, task in found.items() if pk in sent or rules[task.batch_id].policy != Policy.OFF)
    known = set(AdjudicationCase.objects.filter(pk__in=asked).values_list("pk", flat=True))
    seats = _seats_of(asked)
    wanted = [pk for pk in asked if pk in known or _all_filled(seats[pk]) or _is_over(found[pk], seats[pk])]
    if not wanted:
        return Counter()
    _make_cases([found[pk] for pk in wanted if pk not in known])
    # In one order everywhere. What was read before the wait is read again.
    locked = AdjudicationCase.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    cases = {case.pk: case for case in locked}
    newest = {
        each.task_id: each
        for each in Assessment.objects.filter(task__in=wanted).order_by("task", "-number").distinct("task")
    }
    done: Counter = Counter()
    for pk, standing in _standings(wanted).items():
        if (state := _act(found[pk], cases[pk], rules[found[pk].batch_id], standing, newest.get(pk))) is not None:
            done[str(state)] += 1
    return done


def _all_filled(seats: list[dict]) -> bool:
    own = [seat for seat in seats if not seat["adjudicates"]]
    return bool(own) and all(seat["state"] == Seat.State.FILLED for seat in own)


def _is_over(task: Task, seats: list[dict]) -> bool:
    """Whether it gets no more answers than it has, and these can be compared."""
    filled = sum(seat["state"] == Seat.State.FILLED for seat in seats if not seat["adjudicates"])
    return not is_served(task.batch) and filled >= 2


def is_served(batch: Batch) -> bool:
    return batch.state != Batch.State.CLOSED and not batch.imported


def _make_cases(tasks: list[Task]) -> None:
    with connection.cursor() as cursor:
        # What another worker has just made is not counted twice.
        cursor.execute(
            """
            WITH made AS (
                INSERT INTO labeling_adjudicationcase (task_id, batch_id, state, opened)
                SELECT id, batch_id, 'agreed', 0 FROM labeling_task WHERE id = ANY(%s) ORDER BY id
                ON CONFLICT DO NOTHING
                RETURNING batch_id
            )
            INSERT INTO labeling_adjudicationtally AS old (batch_id, looked)
            SELECT batch_id, count(*) FROM made GROUP BY batch_id ORDER BY batch_id
            ON CONFLICT (batch_id) DO UPDATE SET looked = old.looked + excluded.looked
            """,
            [[task.pk for task in tasks]],
        )


def _seats_of(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, list[dict]]:
    seats: dict[uuid.UUID, list[dict]] = defaultdict(list)
    # Those of hidden checks are added to the ones that the task asks for.
    asked = Seat.objects.filter(task__in=tasks).exclude(groups=[], adjudicates=False)
    for seat in asked.order_by("number").values("id", "task_id", "state", "adjudicates"):
        seats[seat["task_id"]].append(seat)
    return seats


def _standings(tasks: Collection[uuid.UUID]) -> dict[uuid.UUID, Standing]:
    seats = _seats_of(tasks)
    answers: dict[uuid.UUID, list[tuple]] = defaultdict(list)
    for answer in answers_to(tasks).values_list("pk", "task_id", "outcome"):
        answers[answer[1]].append(answer)
    compared = [pk for said in answers.values() for pk, _task, outcome in said if outcome == RANKED]
    ranks: dict[uuid.UUID, dict[str, int]] = defaultdict(dict)
    judged = Judgment.objects.filter(ranking__in=compared, rank__isnull=False)
    for ranking, completion, rank in judged.values_list("ranking_id", "completion_id", "rank"):
        ranks[ranking][str(completion)] = rank
    by_hand: dict[uuid.UUID, list[AdjudicationRequest]] = defaultdict(list)
    for sent in AdjudicationRequest.objects.filter(task__in=tasks):
        by_hand[sent.task_id].append(sent)
    return {
        task: Standing(
            answers=[str(pk) for pk, _task, _outcome in answers[task][:MOST_ANSWERS]],
            opinions=[Opinion(outcome, ranks[pk]) for pk, _task, outcome in answers[task][:MOST_ANSWERS]],
            seats=seats[task],
            by_hand=frozenset(seat for sent in by_hand[task] for seat in sent.seats),
            to_researcher=any(sent.to == AdjudicationRequest.To.RESEARCHER for sent in by_hand[task]),
        )
        for task in tasks
    }


def answers_to(tasks: Collection[uuid.UUID]):
    """The labelers' answers to `tasks` in their newest revision, in the order of the first: A, B, C …. Those to hidden
    checks measure their labelers, and disagree with nobody."""
    check = CheckTurn.objects.filter(task=OuterRef("task"), labeler=OuterRef("labeler"))
    newest = Ranking.objects.filter(~Exists(check), task__in=tasks, replaced_by=None, adjudicates=False)
    return newest.order_by("task", "lease__ended_at", "lease")


def _act(task: Task, case: AdjudicationCase, rule: Rule, standing: Standing, newest: Assessment | None) -> str | None:
    """What becomes of a locked case; None where it was looked at as it is."""
    served = is_served(task.batch)
    if newest is None and not standing.complete and served:
        # Sent by hand before it had all its answers; or an answer was taken out between the first look and the lock.
        return None
    if newest is not None and newest.rule == asdict(rule):
        # What waits for labelers waits in vain in a batch that was closed, and is looked at once more.
        in_vain = case.state == State.MORE and not served
        if newest.answers == standing.answers and not in_vain:
            return None
        # While more labelers are at it, only what was corrected makes a difference.
        if not standing.complete and served and set(newest.answers) <= set(standing.answers):
            return None
    disagreement, pairs = disagreement_of(standing.opinions)
    state, opened = _decide(task.batch, case, rule, standing, disagreement)
    if state == State.WAITING:
        open_deciding_seat(task=task)
    elif state in (State.AGREED, State.MORE, State.CONTESTED):
        withdraw_seats([seat["id"] for seat in standing.seats if seat["adjudicates"]])
    if opened > 0:
        open_more_seats(task=task, count=opened)
    elif state == State.AGREED and case.opened:
        # The newest of them, of which those that are free go.
        opened = -withdraw_seats([seat["id"] for seat in standing.by_rule[-case.opened :]])
    _store(task, case, rule, standing, newest, (disagreement, pairs), str(state), opened)
    return state


def _decide(
    batch: Batch, case: AdjudicationCase, rule: Rule, standing: Standing, disagreement: float | None
) -> tuple[str, int]:
    """The state that follows, and how many more seats are to be opened."""
    if case.outcome_id is not None:
        return State.DECIDED, 0
    if standing.to_researcher:
        return State.WAITING, 0
    served = is_served(batch)
    if standing.waits_by_hand and served:
        return State.MORE, 0
    if disagreement is None or 100 * disagreement <= rule.threshold + 1e-9:
        return State.AGREED, 0
    if not standing.complete and served:
        return State.MORE, 0
    if rule.policy in (Policy.LABELERS, Policy.BOTH) and served and case.opened < rule.most:
        return State.MORE, min(rule.seats, rule.most - case.opened)
    if rule.policy in (Policy.RESEARCHER, Policy.BOTH):
        return State.WAITING, 0
    return State.CONTESTED, 0


def _store(
    task: Task,
    case: AdjudicationCase,
    rule: Rule,
    standing: Standing,
    newest: Assessment | None,
    found: tuple[float | None, list[Apart]],
    state: str,
    opened: int,
) -> None:
    disagreement, pairs = found
    Assessment.objects.create(
        task=task,
        number=newest.number + 1 if newest else 1,
        answers=standing.answers,
        disagreement=disagreement,
        pairs=[pair.as_json() for pair in pairs],
        rule=asdict(rule),
        state=state,
        opened=opened,
    )
    AdjudicationCase.objects.filter(pk=case.pk).update(
        state=state, disagreement=disagreement, opened=F("opened") + opened, looked_at=Now()
    )


# By hand


@transaction.atomic(durable=True)
def send_by_hand(*, task_id: uuid.UUID, to: str, reason: str, seats: int = 1, actor: User) -> AdjudicationCase:
    """Send one task to a researcher, who decides, or to `seats` more labelers, whatever its answers say; how it stands.

    What comes is looked at as everything is, also where the batch has no rule. A researcher who was asked stays asked,
    and seats opened here stay, where the answers agree later. Refusal without a reason, Conflict where the task is
    decided, waits already, or nobody can be asked.
    """
    if to not in AdjudicationRequest.To.values:
        raise Refusal(_("Send it to one of {values}.").format(values=", ".join(AdjudicationRequest.To.values)))
    reason = check_text(reason, where=_("the reason")).strip() if isinstance(reason, str) else ""
    if not 1 <= len(reason) <= REASON_CHARACTERS:
        raise Refusal(_("Say why in 1 to {most} characters; the team reads it.").format(most=REASON_CHARACTERS))
    labelers = to == AdjudicationRequest.To.LABELERS
    if labelers:
        _check_number(_("The number of labelers"), seats, 1, MOST_SEATS)
    task = get_ranking_task(task_id)
    _make_cases([task])
    case = AdjudicationCase.objects.select_for_update(no_key=True).get(pk=task.pk)
    if (why := why_not_sent(task, case)) is not None:
        raise Conflict(why)
    opened: list[int] = []
    if labelers:
        if (why := why_no_labelers(task)) is not None:
            raise Conflict(why)
        earlier = AdjudicationRequest.objects.filter(task=task).values_list("seats", flat=True)
        left = MOST_SEATS - case.opened - sum(map(len, earlier))
        if seats > left:
            raise Conflict(
                _("Of one task {left} more labelers can be asked, not {count}.").format(left=left, count=seats)
            )
    try:
        with transaction.atomic():
            if labelers:
                opened = open_more_seats(task=task, count=seats)
            else:
                open_deciding_seat(task=task)
    except IntegrityError:
        # Somebody was seated at this task with a seat of their own this moment, which took the number.
        raise Conflict(_("Somebody is being seated at this task. Send it again.")) from None
    AdjudicationRequest.objects.create(task=task, to=to, seats=opened, reason=reason, by=actor)
    state = State.MORE if labelers else State.WAITING
    AdjudicationCase.objects.filter(pk=case.pk).update(state=state, looked_at=Now())
    record(actor=actor, action="adjudication.sent", subject=task, to=to, seats=len(opened), reason=reason)
    case.refresh_from_db()
    return case


def why_not_sent(task: Task, case: AdjudicationCase | None) -> str | None:
    """A sentence on why nobody is asked about a task by hand; None where somebody can be."""
    prompt = task.item.prompt
    if case is not None and case.state == State.DECIDED:
        return _("A researcher has decided about this task. They correct their decision where it is wrong.")
    if case is not None and case.state == State.WAITING:
        return _("This task waits for a researcher already.")
    if task.batch.screening:
        return _("This task is of a screening; whom it goes to is settled there.")
    if prompt is not None and prompt.state != Prompt.State.ACCEPTED:
        return _("The prompt was taken back: nobody is shown it.")
    return None


def why_no_labelers(task: Task) -> str | None:
    """The same of more labelers alone."""
    batch = task.batch
    if not is_served(batch):
        return _(
            "This batch is closed or came in with its rankings: no labeler gets its tasks. A researcher can decide."
        )
    if batch.evaluation or batch.probation or batch.repeat_of_id:
        return _("In an evaluation, probation or a planned repeat more answers would change what is measured.")
    return None


def get_ranking_task(task_id: uuid.UUID) -> Task:
    task = Task.objects.select_related("batch", "item__prompt").filter(pk=task_id, kind=Batch.Kind.RANKING).first()
    if task is None:
        raise NotFound(_("There is no such task, or nothing is ranked in it."))
    return task


# Deciding


@transaction.atomic(durable=True)
def take_case(*, task_id: uuid.UUID, researcher: User) -> Lease:
    """The researcher's lease to decide about a task: theirs already, or new. Raises what `take_decision` raises."""
    task = get_task(task_id)
    lease = take_decision(task=task, researcher=researcher)
    record(actor=researcher, action="adjudication.taken", subject=task, lease=str(lease.pk))
    return lease


@transaction.atomic(durable=True)
def reveal(*, lease_id: uuid.UUID, researcher: User) -> AdjudicationReveal:
    """The labelers' answers are shown beside the researcher's own from now on, and that they were is kept. Revealing
    twice is revealing once. NotFound for a lease that is not theirs or decides nothing."""
    lease = Lease.objects.filter(pk=lease_id, labeler=researcher.pk, adjudicates=True).first()
    if lease is None:
        raise NotFound(_("You are not deciding about a task under this id."))
    made, created = AdjudicationReveal.objects.get_or_create(lease=lease, defaults={"by": researcher})
    if created:
        record(actor=researcher, action="adjudication.revealed", subject=lease.task, lease=str(lease.pk))
    return made


def reveal_task(*, task: Task, researcher: User) -> AdjudicationReveal:
    """`reveal` for who decides about `task`; NotFound for everybody else."""
    lease = Lease.objects.filter(task=task, labeler=researcher.pk, adjudicates=True).first()
    if lease is None:
        raise NotFound(_("You are not deciding about a task under this id."))
    return reveal(lease_id=lease.pk, researcher=researcher)


def get_task(task_id: uuid.UUID) -> Task:
    """A task that was looked at; NotFound for every other."""
    task = (
        Task.objects.select_related("batch", "item__prompt", "adjudication_case")
        .filter(pk=task_id, adjudication_case__isnull=False)
        .first()
    )
    if task is None:
        raise NotFound(_("The answers to this task were not compared, or there is no such task."))
    return task
