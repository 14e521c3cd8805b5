"""People as those who look after them see them: the list with what each did this week, and one person's work.

Figures come from look-ups in indexes that begin with the labeler, so that they cost what was done in the days they
are about, however much there is. Days and weeks (from Monday) begin at midnight where the team is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from labeling.agreement import reports
from labeling.leasing.kinds import kind_of
from labeling.leasing.models import Lease
from labeling.paging import Page, keyset_page, read_cursor, write_cursor
from labeling.people.models import Break, User
from labeling.people.queries import team_settings
from labeling.quality.models import QualityStanding
from labeling.questions.models import Question
from labeling.refusals import NotFound

PAGE = 50
AT_ONCE = 500  # rows of a file that are looked up together

# The list


@dataclass(frozen=True)
class Asked:
    """Which people, in which order; empty for all, and for by name."""

    search: str = ""
    role: str = ""
    group: str = ""
    standing: str = ""  # active, paused, offboarded
    unseen_days: int | None = None  # not seen for so long
    sort: str = ""


@dataclass(frozen=True)
class Member:
    """One row of the list."""

    person: User
    on_break: bool
    seen_at: datetime | None
    answers: int  # this week
    active_seconds: int  # this week
    corrections: int  # this week
    agreement: float | None  # share of pairs ordered as other labelers order them, where any are shared
    marked: int | None  # reports on biases and care that stand out, where any were made


# When somebody was last here, by the nearest of what is written down about it: one step down an index for each.
SEEN = """
    LATERAL (
        SELECT greatest(
            person.last_login,
            (SELECT granted_at FROM labeling_lease WHERE labeler_id = person.id ORDER BY granted_at DESC LIMIT 1),
            (
                SELECT ended_at FROM labeling_lease WHERE labeler_id = person.id AND state = 'submitted'
                ORDER BY ended_at DESC LIMIT 1
            ),
            (SELECT max(last_used_at) FROM labeling_apitoken WHERE user_id = person.id)
        ) AS seen_at
    ) seen
"""
# From that one index alone.
WEEK = """
    LATERAL (
        SELECT count(*) AS answers, coalesce(sum(active_seconds), 0) AS active_seconds
        FROM labeling_lease
        WHERE labeler_id = person.id AND state = 'submitted' AND ended_at >= %(week)s
    ) week
"""
CORRECTED = " + ".join(
    f"(SELECT count(*) FROM {table} WHERE labeler_id = person.id AND revision > 1 AND created_at >= %(week)s)"
    for table in ("labeling_ranking", "labeling_demonstration", "labeling_writtenprompt", "labeling_review")
)
NEVER = datetime(1970, 1, 1, tzinfo=ZoneInfo("UTC"))


@dataclass(frozen=True)
class Sort:
    """An order of the list: the key, where it comes from, its direction, and how to read it from a cursor."""

    key: str
    source: str
    ascending: bool
    read: Callable[[str], Any]


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(text)
    return moment


def _number(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**63:
        raise ValueError(text)
    return number


SEEN_KEY = "coalesce(seen.seen_at, %(never)s::timestamptz)"
SORTS = {
    "": Sort("person.username", "", True, str),
    "seen": Sort(SEEN_KEY, SEEN, False, _moment),
    "unseen": Sort(SEEN_KEY, SEEN, True, _moment),
    "answers": Sort("week.answers", WEEK, False, _number),
    "active": Sort("week.active_seconds", WEEK, False, _number),
    "joined": Sort("person.date_joined", "", False, _moment),
}


def people_page(asked: Asked, *, after: str | None = None, size: int = PAGE) -> Page:
    """`Member`s. By name a page costs its own rows; in another order each of the people asked for is looked up."""
    sort = SORTS[asked.sort]
    cursor = read_cursor(after, [sort.read, _number]) if after else None
    found = _keys(asked, sort, cursor, size + 1)
    members = members_of([pk for pk, _key in found[:size]])
    more = len(found) > size
    return Page(items=members, next=_cursor(found[size - 1]) if more else None)


def _cursor(row: tuple[int, Any]) -> str:
    pk, key = row
    return write_cursor([key.isoformat() if isinstance(key, datetime) else str(key), str(pk)])


def _keys(asked: Asked, sort: Sort, cursor: list | None, limit: int) -> list[tuple[int, Any]]:
    """(id, key) of the first people behind the cursor."""
    conditions, values = _conditions(asked)
    sources = {sort.source} | ({SEEN} if asked.unseen_days else set())
    if cursor is not None:
        conditions.append(f"({sort.key}, person.id) {'>' if sort.ascending else '<'} (%(key)s, %(after)s)")
        values |= dict(zip(("key", "after"), cursor, strict=True))
    direction = "ASC" if sort.ascending else "DESC"
    statement = f"""
        SELECT person.id, {sort.key}
        FROM {", ".join(["labeling_user person", *sorted(sources - {""})])}
        WHERE {" AND ".join(conditions or ["true"])}
        ORDER BY {sort.key} {direction}, person.id {direction}
        LIMIT %(limit)s
    """
    with connection.cursor() as ask:
        ask.execute(statement, {**values, "limit": limit, "week": this_week(), "never": NEVER})
        return ask.fetchall()


def _conditions(asked: Asked) -> tuple[list[str], dict[str, Any]]:
    """What `asked` wants of `person` and `seen`, and the values in it."""
    standings = {
        "active": "person.is_active AND person.paused_at IS NULL",
        "paused": "person.is_active AND person.paused_at IS NOT NULL",
        "offboarded": "NOT person.is_active",
    }
    conditions = []
    if asked.role:
        conditions.append("person.role = %(role)s")
    if asked.group:
        conditions.append('person."group" = %(group)s')
    if asked.standing:
        conditions.append(standings[asked.standing])
    if asked.search:
        begins = "starts_with(lower(person.{name}), lower(%(search)s))"
        conditions.append(f"({' OR '.join(begins.format(name=name) for name in ('username', 'display_name'))})")
    if asked.unseen_days:
        conditions.append(f"{SEEN_KEY} < now() - %(days)s * interval '1 day'")
    values = {"role": asked.role, "group": asked.group, "days": asked.unseen_days or 0}
    return conditions, {**values, "search": asked.search}


def members_of(pks: list[int]) -> list[Member]:
    """These people in this order, each with their figures."""
    statement = f"""
        SELECT person.id, seen.seen_at, week.answers, week.active_seconds, {CORRECTED}
        FROM labeling_user person, {SEEN}, {WEEK} WHERE person.id = ANY(%(pks)s)
    """
    with connection.cursor() as cursor:
        cursor.execute(statement, {"pks": pks, "week": this_week()})
        figures = {pk: rest for pk, *rest in cursor}
    people = User.objects.in_bulk(pks)
    kinds = {person.is_simulated for person in people.values()}
    rates = {pk: rate for kind in kinds for pk, rate in reports.rates_by_labeler(simulated=kind).items()}
    marked = dict(QualityStanding.objects.filter(labeler__in=pks).values_list("labeler", "marked"))
    resting = set(Break.objects.filter(labeler__in=pks, ended_at=None).values_list("labeler", flat=True))
    return [
        Member(people[pk], pk in resting, *figures[pk], rates.get(pk), marked.get(pk))
        for pk in pks
        if pk in people and pk in figures
    ]


COLUMNS = (
    *("user_name", "name", "role", "group", "standing", "last_seen", "answers_this_week", "active_seconds_this_week"),
    *("corrections_this_week", "quota", "joined", "agreement_with_others", "reports_that_stand_out"),
)


def rows_of(asked: Asked) -> Iterator[tuple[Any, ...]]:
    """All that the list has, as rows of `COLUMNS`."""
    after: str | None = None
    while True:
        page = people_page(asked, after=after, size=AT_ONCE)
        for member in page:
            person = member.person
            yield (
                *(person.username, person.display_name, person.role, person.group, standing_of(person)),
                *(member.seen_at, member.answers, member.active_seconds, member.corrections),
                *(person.daily_quota, person.date_joined, member.agreement, member.marked),
            )
        if page.next is None:
            return
        after = page.next


def standing_of(person: User) -> str:
    """active, paused or offboarded."""
    if not person.is_active:
        return "offboarded"
    return "active" if person.paused_at is None else "paused"


def member(person: User) -> Member:
    (found,) = members_of([person.pk])
    return found


AGREEMENT_COLUMNS = ("with", "statistic", "value", "ci95_low", "ci95_high", "chance", "count", "tasks")


def agreement_rows(person: User) -> Iterator[tuple[Any, ...]]:
    """Every statistic of how one labeler agrees with whom, as rows of `AGREEMENT_COLUMNS`."""
    for key, cut in reports.of_labeler(person).items():
        for statistic, figure in reports.figures_of(cut):
            value, count = reports.value_of(figure), reports.count_of(figure)
            yield (key, statistic, value, *figure["ci95"], figure["chance"], count, cut["tasks"])


# One person's work


@dataclass(frozen=True)
class Period:
    """A day, or a week from its Monday, of somebody's work."""

    begins: date
    answers: int
    active_seconds: int

    @property
    def hours(self) -> float:
        return self.active_seconds / 3600


SHOWN = {"day": 28, "week": 26}  # periods of each kind that a page draws
WORK = """
    SELECT (date_trunc(%(by)s, ended_at, %(zone)s) AT TIME ZONE %(zone)s)::date, count(*), sum(active_seconds)
    FROM labeling_lease
    WHERE labeler_id = %(labeler)s AND state = 'submitted' AND ended_at >= %(since)s
    GROUP BY 1
"""


def work_over_time(person: User, *, by: str) -> list[Period]:
    """The last days or weeks (`by` "day" or "week"), oldest first and up to now, those without work too."""
    zone = _zone()
    step = timedelta(days=7 if by == "week" else 1)
    today = timezone.now().astimezone(zone).date()
    last = today - timedelta(days=today.weekday()) if by == "week" else today
    days = [last - step * back for back in reversed(range(SHOWN[by]))]
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=zone)
    with connection.cursor() as cursor:
        cursor.execute(WORK, {"by": by, "zone": zone.key, "labeler": person.pk, "since": since})
        done = {day: (answers, seconds) for day, answers, seconds in cursor}
    return [Period(day, *done.get(day, (0, 0))) for day in days]


def this_week() -> datetime:
    """Its Monday's midnight where the team is."""
    zone = _zone()
    today = timezone.now().astimezone(zone).date()
    monday = today - timedelta(days=today.weekday())
    return datetime.combine(monday, datetime.min.time(), tzinfo=zone)


def _zone() -> ZoneInfo:
    return ZoneInfo(team_settings().time_zone)


# What a list of somebody's tasks may show.
ANSWERS, SKIPS = "answers", "skips"
STATES = {ANSWERS: Lease.State.SUBMITTED, SKIPS: Lease.State.SKIPPED}


def tasks_of(person: User, *, show: str) -> QuerySet[Lease]:
    """The tasks that somebody answered, or skipped, in no order; `ended_at` says when."""
    rows = Lease.objects.filter(labeler=person.pk, state=STATES[show])
    return rows.select_related("task__item__prompt", "task__batch")


def tasks_page(person: User, *, show: str, after: str | None = None, size: int = PAGE) -> Page:
    """Newest first."""
    return keyset_page(tasks_of(person, show=show), order=("-ended_at", "-id"), after=after, size=size)


TASK_COLUMNS = ("task", "kind", "batch", "begun", "ended", "active_seconds", "reason")


def task_rows(person: User, *, show: str) -> Iterator[tuple[Any, ...]]:
    """The list as rows of `TASK_COLUMNS`, newest first; the reason is that of a skip. No text of a prompt."""
    found = tasks_of(person, show=show).order_by("-ended_at", "-id").iterator(chunk_size=1000)
    for lease in found:
        yield (
            *(lease.pk, lease.task.kind, lease.task.batch.name, lease.granted_at, lease.ended_at),
            *(lease.active_seconds, lease.skip_reason),
        )


@dataclass(frozen=True)
class Correction:
    """An answer that replaced another."""

    lease: UUID
    kind: str
    revision: int
    reason: str
    created_at: datetime
    answer: UUID


CORRECTIONS = " UNION ALL ".join(
    f"""(
        SELECT answer.lease_id, task.kind, answer.revision, answer.correction_reason, answer.created_at, answer.id
        FROM {table} answer JOIN labeling_task task ON task.id = answer.task_id
        WHERE answer.labeler_id = %(labeler)s AND answer.revision > 1 {{behind}}
        ORDER BY answer.created_at DESC, answer.id DESC LIMIT %(limit)s
    )"""
    for table in ("labeling_ranking", "labeling_demonstration", "labeling_writtenprompt", "labeling_review")
)


def corrections_page(person: User, *, after: str | None = None, size: int = PAGE) -> Page:
    """Newest first, of every kind of answer."""
    asked: dict[str, Any] = {"labeler": person.pk, "limit": size + 1}
    behind = ""
    if after:
        asked |= dict(zip(("at", "id"), read_cursor(after, [_moment, UUID]), strict=True))
        behind = "AND (answer.created_at, answer.id) < (%(at)s, %(id)s)"
    statement = f"{CORRECTIONS.format(behind=behind)} ORDER BY 5 DESC, 6 DESC LIMIT %(limit)s"
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        found = [Correction(*row) for row in cursor]
    last = found[size - 1] if len(found) > size else None
    cursor_after = write_cursor([last.created_at.isoformat(), str(last.answer)]) if last else None
    return Page(items=found[:size], next=cursor_after)


CORRECTION_COLUMNS = ("task", "kind", "revision", "corrected", "reason")


def correction_rows(person: User) -> Iterator[tuple[Any, ...]]:
    """All corrections as rows of `CORRECTION_COLUMNS`."""
    after: str | None = None
    while True:
        page = corrections_page(person, after=after, size=AT_ONCE)
        for one in page:
            yield one.lease, one.kind, one.revision, one.created_at, one.reason
        if page.next is None:
            return
        after = page.next


def questions_of(person: User, *, after: str | None = None, size: int = PAGE) -> Page:
    """What somebody asked about their tasks, newest first, each with its messages."""
    rows = Question.objects.filter(labeler=person.pk).prefetch_related("messages")
    return keyset_page(rows, order=("-created_at", "-id"), after=after, size=size)


# One answer


@dataclass(frozen=True)
class Given:
    """An answer as the team may read it: the revision looked at, and all there are, oldest first."""

    lease: Lease
    answer: Any
    revisions: list


def get_answer(lease_id: UUID, *, revision: int | None = None) -> Given:
    """The latest revision, or the one asked for. NotFound where the task was not answered, or not so often."""
    related = ("labeler", "task__item__prompt", "task__batch", "form_version", "guideline")
    lease = Lease.objects.select_related(*related).filter(pk=lease_id).first()
    revisions = kind_of(lease).answers(lease) if lease else []
    chosen = next((answer for answer in reversed(revisions) if revision in (None, answer.revision)), None)
    if lease is None or chosen is None:
        raise NotFound(_("There is no such answer; the task may not be answered yet."))
    return Given(lease, chosen, revisions)
