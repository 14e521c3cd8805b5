"""Keep suspicion up to date, draw answers to look at, hand them out one by one, and store what was found."""

from __future__ import annotations

import random
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import override

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.label_errors import queries
from labeling.label_errors.models import (
    CompletionScore,
    ErrorDraw,
    ErrorItem,
    ErrorVerdict,
    SecondLook,
    Suspicion,
    SuspicionState,
)
from labeling.label_errors.reading import Group, groups_of
from labeling.label_errors.statistics import suspicion
from labeling.leasing.answers import INT, whole_number
from labeling.leasing.models import Lease
from labeling.leasing.services import counted_seconds, lock_lease
from labeling.notices.services import tell
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.text import check_text

Beat = Callable[..., None]
# Tasks whose answers are in memory at a time.
CHUNK = 500
# An answer bears the time at which its transaction began; one seen now may have begun so long before.
SLACK = timedelta(minutes=2)
# How long an answer waits for who took it before somebody else may.
HELD = timedelta(minutes=10)
MOST_DRAWN = 1000
MARKED = 3  # pairs of an answer, whatever is known of it: another number would tell its arm
NOTE_CHARACTERS = 2_000
KEPT_CHARACTERS = 500
SEEDS = 2**31


# Suspicion


def take_turn() -> None:
    """One at a time, until the transaction ends: whoever computes from older answers must not write last."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('label errors'))")


def refresh(*, beat: Beat = lambda **_: None) -> int:
    """Compute anew what stands against the answers of tasks that got an answer since; how many answers. Cheap when
    there is none, and where another worker is at it. Interrupted, it begins again from the same time."""
    SuspicionState.objects.get_or_create(pk=1)
    with connection.cursor() as cursor:
        # The connection's, not a transaction's: it is gone with a worker that is killed.
        cursor.execute("SELECT pg_try_advisory_lock(hashtext('label errors refresh')), statement_timestamp()")
        mine, now = cursor.fetchone()
    if not mine:
        return 0
    try:
        return _refresh(now, beat)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtext('label errors refresh'))")


def _refresh(now: datetime, beat: Beat) -> int:
    state = SuspicionState.objects.get()
    since = state.read_at and state.read_at - SLACK
    count = 0
    for tasks in _changed_tasks(since):
        count += refresh_tasks(tasks)
        beat(note="comparing")
    SuspicionState.objects.update(read_at=now)
    if count or not state.figures:
        count_answers()
    return count


def _changed_tasks(since: datetime | None) -> Iterator[list[uuid.UUID]]:
    last = uuid.UUID(int=0)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                """SELECT DISTINCT task_id FROM labeling_ranking
                WHERE task_id > %s AND (%s::timestamptz IS NULL OR created_at > %s) ORDER BY task_id LIMIT %s""",
                [last, since, since, CHUNK],
            )
            tasks = [task for (task,) in cursor.fetchall()]
        if tasks:
            yield tasks
        if len(tasks) < CHUNK:
            return
        last = tasks[-1]


STORE = """
    INSERT INTO labeling_suspicion
        (ranking_id, task_id, simulated, checkpoint_id, pairs, opposite, compared, contradicted, score)
    SELECT * FROM unnest(
        %s::uuid[], %s::uuid[], %s::bool[], %s::uuid[], %s::int2[], %s::float8[], %s::int4[], %s::int4[], %s::float8[]
    )
    ON CONFLICT (ranking_id) DO UPDATE SET checkpoint_id = excluded.checkpoint_id, opposite = excluded.opposite,
        compared = excluded.compared, contradicted = excluded.contradicted, score = excluded.score
"""


@transaction.atomic
def refresh_tasks(tasks: Sequence[uuid.UUID]) -> int:
    """Compute anew what stands against all answers to these tasks; how many. What was corrected is no answer more."""
    take_turn()
    current = queries.current_model_id()
    columns: list[list] = [[] for _ in range(9)]
    for group in groups_of(tasks, checkpoint_id=current):
        for column, values in zip(columns, _rows_of(group, current), strict=True):
            column.extend(values)
    Suspicion.objects.filter(task__in=tasks).exclude(ranking__in=columns[0]).delete()
    if columns[0]:
        with connection.cursor() as cursor:
            cursor.execute(STORE, columns)
    return len(columns[0])


def _rows_of(group: Group, current: uuid.UUID | None) -> list[list]:
    """The columns of STORE for the answers of a group that put anything in an order."""
    found = group.evidence
    labelers = found.pairs.shape[1]
    keep = np.flatnonzero(found.pairs.ravel() > 0)
    unit = keep // labelers
    opposite = np.divide(found.opposite, found.modelled, where=found.modelled > 0, out=np.full(found.pairs.shape, -1.0))
    return [
        [group.rankings[task][labeler] for task, labeler in zip(unit, keep % labelers, strict=True)],
        [group.tasks[task] for task in unit],
        [group.simulated[task] for task in unit],
        [current if group.scored[task] else None for task in unit],
        found.pairs.ravel()[keep].tolist(),
        [None if value < 0 else value for value in opposite.ravel()[keep].tolist()],
        found.compared.ravel()[keep].tolist(),
        found.contradicted.ravel()[keep].tolist(),
        suspicion(found).ravel()[keep].tolist(),
    ]


def count_answers() -> None:
    """Note how many answers there is something to say of: for pages, which count nothing themselves."""
    figures = {
        name: Suspicion.objects.filter(simulated=simulated).aggregate(**queries.COUNTS)
        for name, simulated in (("people", False), ("simulated", True))
    }
    SuspicionState.objects.update(figures=figures)


# Scores. Whoever can reach a model asks it, and stores here what it said.


@transaction.atomic
def take_model(*, checkpoint_id: uuid.UUID) -> None:
    """Answers are judged by this reward model from now on, as its scores come in."""
    SuspicionState.objects.get_or_create(pk=1)
    SuspicionState.objects.update(checkpoint=checkpoint_id)


def store_scores(
    *, checkpoint_id: uuid.UUID, scores: Iterable[tuple[uuid.UUID, float]], refused: Iterable[tuple[uuid.UUID, str]]
) -> None:
    """Keep what the model said of completions, and why it would not say anything. What is there already stays."""
    rows = [CompletionScore(checkpoint_id=checkpoint_id, completion_id=pk, score=score) for pk, score in scores]
    rows += [CompletionScore(checkpoint_id=checkpoint_id, completion_id=pk, refused=why[:300]) for pk, why in refused]
    CompletionScore.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic(durable=True)
def request_look(*, actor: User, simulated: bool = False) -> Job:
    """A queued job that reads new answers and asks the newest reward model, if there is one. Twice asked: one job."""
    job = background.enqueue(kind=queries.JOB, arguments={"simulated": simulated}, key=queries.JOB, created_by=actor)
    record(actor=actor, action="label_errors.look_requested", subject=job, simulated=simulated)
    return job


# Draws


@transaction.atomic(durable=True)
def draw_answers(*, size: int, share: int, actor: User, simulated: bool = False, seed: int | None = None) -> ErrorDraw:
    """`size` answers to look at, `share` of a hundred of them the most suspicious, the others drawn at random from all
    that nobody was given before, suspicious ones too. Their order is drawn as well. Conflict where there is none left.

    The same seed draws the same from the same answers. Fewer come where fewer are left, or an answer is in both arms.
    """
    if not 1 <= size <= MOST_DRAWN:
        raise Refusal(_("Draw 1 to {most} answers, not {size}.").format(most=MOST_DRAWN, size=size))
    if not 0 <= share <= 100:
        raise Refusal(_("Of a hundred answers 0 to 100 can be suspicious ones, not {share}.").format(share=share))
    seed = secrets.randbelow(SEEDS) if seed is None else seed
    if not 0 <= seed < SEEDS:
        raise Refusal(_("A seed is a whole number from 0 to {most}.").format(most=SEEDS - 1))
    take_turn()
    from_suspicion = round(size * share / 100)
    left = Suspicion.objects.filter(simulated=simulated, drawn=False)
    # Where nothing is known there is nothing to suspect.
    worst = left.filter(queries.SOMETHING_KNOWN).order_by("-score", "ranking")[:from_suspicion]
    suspicious = set(worst.values_list("ranking", flat=True))
    sample = set(_sample(simulated=simulated, seed=seed, size=size - from_suspicion))
    chosen = sorted(suspicious | sample)
    if not chosen:
        raise Conflict(_("There is no answer left to draw; new ones come with new rankings."))
    random.Random(seed).shuffle(chosen)
    known = {row.ranking_id: row for row in Suspicion.objects.filter(ranking__in=chosen)}
    pairs = _pairs_of(known)
    draw = ErrorDraw.objects.create(
        size=size,
        share=share,
        simulated=simulated,
        seed=seed,
        checkpoint_id=queries.current_model_id(),
        created_by=actor,
    )
    ErrorItem.objects.bulk_create(
        ErrorItem(
            draw=draw,
            position=position,
            ranking_id=pk,
            suspicious=pk in suspicious,
            random=pk in sample,
            score=known[pk].score,
            checkpoint_id=known[pk].checkpoint_id,
            pairs=pairs[pk],
        )
        for position, pk in enumerate(chosen)
    )
    Suspicion.objects.filter(ranking__in=chosen).update(drawn=True)
    record(
        actor=actor,
        action="label_errors.drawn",
        subject=draw,
        **{"size": size, "share": share, "simulated": simulated, "seed": seed, "answers": len(chosen)},
    )
    return draw


def _sample(*, simulated: bool, seed: int, size: int) -> list[uuid.UUID]:
    """A simple random sample without replacement: those whose hash with the seed is smallest."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT ranking_id FROM labeling_suspicion WHERE simulated = %s AND NOT drawn
            ORDER BY md5(%s || ranking_id), ranking_id LIMIT %s""",
            [simulated, f"{seed} ", size],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _pairs_of(known: dict[uuid.UUID, Suspicion]) -> dict[uuid.UUID, list[list[str]]]:
    """The MARKED pairs of each answer against which most speaks, as [put first, put second]."""
    tasks = {row.task_id for row in known.values()}
    found = {}
    for group in groups_of(tasks, checkpoint_id=queries.current_model_id()):
        of = group.evidence
        for number, rankings in enumerate(group.rankings):
            names = [str(pk) for pk in group.completions[number]]
            for row, pk in enumerate(rankings):
                if pk not in known:
                    continue
                doubt, signs = of.doubt[number, row], of.signs[number, row]
                # Completions' ids are random, so where nothing is known chance decides.
                worst = [at for at in np.argsort(-doubt, kind="stable")[:MARKED] if signs[at]]
                both = [(names[of.first[at]], names[of.second[at]], signs[at]) for at in worst]
                found[pk] = [[one, two] if sign < 0 else [two, one] for one, two, sign in both]
    return found


# Looking


@transaction.atomic(durable=True)
def claim_next(*, reviewer: User) -> ErrorItem | None:
    """The answer that `reviewer` looks at next, theirs for HELD from now on: the one they hold, or else the first that
    nobody holds, that nobody judged, and that is not their own. None where none waits."""
    # Whoever asks twice at once gets one answer twice, not two.
    User.objects.select_for_update(no_key=True).get(pk=reviewer.pk)
    waiting = queries.waiting_items()
    held = waiting.filter(claimed_by=reviewer).select_for_update(of=("self",)).first()
    if held is None:
        ErrorItem.objects.filter(claimed_by=reviewer, judged_at=None).update(claimed_by=None, claimed_until=None)
        free = Q(claimed_by=None) | Q(claimed_until__lte=Now())
        others = waiting.filter(free).exclude(ranking__labeler=reviewer)
        held = others.select_for_update(of=("self",), skip_locked=True).first()
        if held is None:
            return None
    ErrorItem.objects.filter(pk=held.pk).update(claimed_by=reviewer, claimed_until=Now() + HELD)
    held.refresh_from_db()
    return held


@transaction.atomic(durable=True)
def judge(*, item_id: uuid.UUID | str, reviewer: User, verdict: Any, note: Any = "") -> ErrorVerdict:
    """What `reviewer` says of the answer that they hold, or held last; of one they judged, another revision. The same
    twice is said once. What waits for a second look waits no more where it is no error. Conflict where somebody else
    holds it."""
    if verdict not in ErrorVerdict.Verdict.values:
        raise Refusal(_("Say {values}.").format(values=", ".join(ErrorVerdict.Verdict.values)))
    if not isinstance(note, str):
        raise Refusal(_("The note must be text."))
    note = check_text(note, where=_("the note")).strip()
    if len(note) > NOTE_CHARACTERS:
        raise Refusal(_("A note has at most {most} characters; shorten it.").format(most=NOTE_CHARACTERS))
    found = queries.get_item(item_id)
    item = ErrorItem.objects.select_for_update().get(pk=found.pk)
    if item.claimed_by_id != reviewer.pk:
        raise Conflict(_("This answer is not yours to judge: take the next one. Somebody else may look at it by now."))
    last = item.verdicts.order_by("-revision").first()
    if last is not None and (last.verdict, last.note) == (verdict, note):
        return last
    said = ErrorVerdict.objects.create(
        item=item,
        reviewer=reviewer,
        verdict=verdict,
        note=note,
        revision=last.revision + 1 if last else 1,
        replaces=last,
    )
    if item.judged_at is None:
        ErrorItem.objects.filter(pk=item.pk).update(judged_at=Now())
    if verdict != ErrorVerdict.Verdict.ERROR:
        _withdraw_second_look(item)
    record(actor=reviewer, action="label_error.judged", subject=item, verdict=verdict, revision=said.revision)
    return said


# Second looks


@transaction.atomic(durable=True)
def ask_second_look(*, item_id: uuid.UUID | str, actor: User) -> SecondLook:
    """Send an answer with an error back to its labeler, who gets it in the workbench and keeps or corrects it, however
    old it is. Asked twice is asked once. Conflict where it cannot be.

    They are told nothing of what was found. Where nothing of theirs waits yet, a message says that something does.
    """
    item = queries.get_item(item_id)
    ErrorItem.objects.select_for_update(no_key=True).get(pk=item.pk)
    # As it is while they correct it.
    Lease.objects.select_for_update(no_key=True).get(pk=item.ranking.lease_id)
    if earlier := queries.asked_before(item):
        return earlier
    if (why := queries.why_no_second_look(item)) is not None:
        raise Conflict(why)
    labeler = item.ranking.labeler
    first = not queries.waiting_looks_of(labeler).exists()
    look = SecondLook.objects.create(item=item, lease_id=item.ranking.lease_id, asked_by=actor)
    Lease.objects.filter(pk=look.lease_id).update(sent_back=True)
    if first:
        with override(labeler.language or settings.LANGUAGE_CODE):
            words = _(
                "Your team asks for a second look at an answer of yours. It waits on the page [Work]({work}). Keep it "
                "if you stand by it, or correct it; either is fine."
            ).format(work=reverse("work"))
            tell(person=labeler, title=_("A second look"), text=words, key=f"second-look:{look.pk}", author=actor)
    record(actor=actor, action="label_error.sent_back", subject=item, ranking=str(item.ranking_id))
    return look


def _withdraw_second_look(item: ErrorItem) -> None:
    """Of a locked item."""
    lease = Lease.objects.select_for_update(no_key=True).get(pk=item.ranking.lease_id)
    waiting = SecondLook.objects.filter(item=item, state=SecondLook.State.WAITING)
    if waiting.update(state=SecondLook.State.WITHDRAWN, ended_at=Now()):
        Lease.objects.filter(pk=lease.pk).update(sent_back=False)


@transaction.atomic(durable=True)
def keep_answer(*, lease_id: uuid.UUID | str, labeler: User, active_seconds: Any = 0, note: Any = "") -> SecondLook:
    """The labeler has looked again and stands by their answer. Saying so twice is saying it once; a correction is an
    answer, and goes where answers go.

    `active_seconds` is the browser's count of time at it: no more than since they opened it (`begin_correction`), and
    part of their time at work. NotFound for another person's lease, Conflict where nothing waits to be looked at.
    """
    seconds = whole_number(active_seconds, where="`active_seconds`", low=0, high=INT)
    if not isinstance(note, str):
        raise Refusal(_("The note must be text."))
    note = check_text(note, where=_("the note")).strip()
    if len(note) > KEPT_CHARACTERS:
        raise Refusal(_("A note has at most {most} characters; shorten it.").format(most=KEPT_CHARACTERS))
    lease = lock_lease(lease_id=lease_id, labeler=labeler)
    looks = SecondLook.objects.filter(lease=lease).exclude(state=SecondLook.State.WITHDRAWN)
    look = looks.order_by("-asked_at").first()
    if look is not None and look.state == SecondLook.State.KEPT:
        return look
    if look is None or look.state != SecondLook.State.WAITING:
        raise Conflict(_("Nobody waits for a second look at this answer; it stands as it is."))
    seconds = counted_seconds(seconds, lease.corrected_for)
    SecondLook.objects.filter(pk=look.pk).update(
        state=SecondLook.State.KEPT, note=note, active_seconds=seconds, ended_at=Now()
    )
    Lease.objects.filter(pk=lease.pk).update(
        sent_back=False, correction_opened_at=None, active_seconds=F("active_seconds") + seconds
    )
    look.refresh_from_db()
    return look
