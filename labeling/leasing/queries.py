"""What labelers see of their work: their own leases, and texts without any trace of who wrote them."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now, Trunc
from django.utils.translation import gettext as _

from labeling.leasing import apart
from labeling.leasing.models import CheckTurn, Lease
from labeling.leasing.services import HELD, LEFT, NO_SUCH_TASK, loaded, tasks_ahead
from labeling.people.models import User
from labeling.people.queries import team_settings
from labeling.refusals import NotFound
from labeling.rows import all_rows
from labeling.sampling.models import Batch

# Beyond this the queue page says "100+": counting all that waits would cost more the more there is.
WAITING_COUNTED = 100


@dataclass(frozen=True)
class Work:
    """What the queue page says. Days and weeks (from Monday) begin at midnight where the team is.

    `by_kind` is `waiting` by kind of task; `active_today` and `active_week` are seconds at work without idle time.
    """

    waiting: int
    waiting_more: bool
    by_kind: dict[str, int]
    today: int
    week: int
    active_today: int
    active_week: int


def get_lease(*, lease_id: uuid.UUID | str, labeler: User) -> Lease:
    """The labeler's own lease with its prompt and `time_left` by the database's clock; NotFound for everything else."""
    try:
        return loaded(labeler).get(pk=uuid.UUID(str(lease_id)))
    except (ValueError, Lease.DoesNotExist):
        raise NotFound(_(NO_SUCH_TASK)) from None


SHOWN = "SELECT id, text FROM labeling_completion WHERE item_id = %s"


def seconds_left(lease: Lease) -> tuple[int, int]:
    """Whole seconds until the lease of `get_lease` runs out, and those that it keeps its seat after that; 0 and 0 once
    it ended."""
    if lease.state not in HELD:
        return 0, 0
    left = math.floor(lease.time_left.total_seconds())
    return max(0, left), max(0, team_settings().lease_grace_seconds + min(0, left))


def completions_shown(lease: Lease) -> list[dict]:
    """`{"id", "text"}` in the order drawn for this labeler. Provenance is never joined."""
    texts = dict(all_rows(SHOWN, [lease.task.item_id]))
    return [{"id": shown, "text": texts[uuid.UUID(shown)]} for shown in lease.order_shown]


def work_of(labeler: User) -> Work:
    # Seats of one task count once, so a little more than the limit is looked at, and never everything.
    chosen = apart.tasks_of(labeler)
    if chosen is None:
        kinds = tasks_ahead(labeler=labeler, limit=4 * WAITING_COUNTED)
        # Hidden checks count as the rankings that they look like: the number falls by one with each task, of any kind.
        # The gates, if this request has asked for them, have said whether one waits.
        if getattr(labeler, "check_waits", True):
            checks = CheckTurn.objects.filter(labeler=labeler.pk, served_at=None)[: kinds.count(Batch.Kind.RANKING)]
            kinds += [Batch.Kind.RANKING.value] * len(checks.values_list("id"))
    else:
        ended = Lease.objects.filter(task=OuterRef("pk"), labeler=labeler.pk).exclude(state__in=LEFT)
        kinds = list(chosen.filter(~Exists(ended)).values_list("kind", flat=True)[: WAITING_COUNTED + 1])
    # The open one waits too, and the one behind it.
    kinds += Lease.objects.filter(labeler=labeler.pk, state__in=HELD).values_list("task__kind", flat=True)
    waiting = Counter(kinds[:WAITING_COUNTED])
    zone = ZoneInfo(team_settings().time_zone)
    day, week = Trunc(Now(), "day", tzinfo=zone), Trunc(Now(), "week", tzinfo=zone)
    done = Lease.objects.filter(labeler=labeler.pk, state=Lease.State.SUBMITTED, ended_at__gte=week)
    today = Q(ended_at__gte=day)
    counts = done.aggregate(
        week=Count("ended_at"),
        today=Count("ended_at", filter=today),
        active_week=Sum("active_seconds", default=0),
        active_today=Sum("active_seconds", filter=today, default=0),
    )
    return Work(
        waiting=waiting.total(),
        waiting_more=len(kinds) > WAITING_COUNTED,
        by_kind=dict(sorted(waiting.items())),
        **counts,
    )


def open_lease_of(labeler: User) -> Lease | None:
    return loaded(labeler).filter(state=Lease.State.OPEN).first()


def answered_leases(labeler: User) -> QuerySet[Lease]:
    """The labeler's leases that have an answer, in no order, each with `correctable`: whether it still may be."""
    return loaded(labeler).filter(state=Lease.State.SUBMITTED).annotate(correctable=_correctable())


def _correctable() -> ExpressionWrapper:
    since = Now() - timedelta(hours=team_settings().correction_hours)
    return ExpressionWrapper(Q(ended_at__gt=since) | Q(sent_back=True), output_field=BooleanField())


def may_be_corrected(lease: Lease) -> bool:
    return Lease.objects.filter(pk=lease.pk, state=Lease.State.SUBMITTED).filter(_correctable()).exists()
