"""The audit trail, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Model, QuerySet
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from labeling.audit.models import AuditEvent
from labeling.paging import Page, keyset_page
from labeling.refusals import Refusal

# Who is asked for where no person did it.
KWISE = "Kwise"


@dataclass(frozen=True)
class Asked:
    """What is wanted of the trail; empty for all. Days are UTC's, and both are part of it."""

    actor: str = ""  # a user name, or KWISE
    action: str = ""
    subject_type: str = ""
    subject_id: str = ""
    since: str = ""
    until: str = ""


def events_page(asked: Asked, *, after: str | None = None) -> Page:
    """Costs the same however long the trail is: an index for each filter has it newest first."""
    return keyset_page(events(asked), order=("-at", "-id"), after=after)


def events(asked: Asked) -> QuerySet[AuditEvent]:
    """In no order. Refusal for a user name that nobody has, and for a day that is none."""
    rows = AuditEvent.objects.select_related("actor")
    exact = {name: getattr(asked, name) for name in ("action", "subject_type", "subject_id") if getattr(asked, name)}
    rows = rows.filter(**exact)
    if asked.actor:
        rows = rows.filter(actor=_actor(asked.actor))
    if asked.since:
        rows = rows.filter(at__gte=_midnight(asked.since))
    if asked.until:
        rows = rows.filter(at__lt=_midnight(asked.until) + timedelta(days=1))
    return rows


def _actor(name: str) -> int | None:
    if name == KWISE:
        return None
    found = get_user_model().objects.filter(username__iexact=name).values_list("pk", flat=True).first()
    if found is None:
        raise Refusal(_("Nobody has the user name {name}; what nobody did is under “Kwise”.").format(name=name))
    return found


def _midnight(day: str) -> datetime:
    try:
        read = parse_date(day)
    except ValueError:
        read = None
    if read is None or read.year < 2000 or read == date.max:
        raise Refusal(_("{day} is no day; write one as 2026-11-25.").format(day=day))
    return datetime.combine(read, time.min, tzinfo=UTC)


def rows_of(asked: Asked) -> Iterator[tuple[Any, ...]]:
    """Each event as a row of `COLUMNS`, newest first, read as it is written."""
    for event in events(asked).order_by("-at", "-id").iterator(chunk_size=1000):
        actor = event.actor.username if event.actor else KWISE
        yield event.at, actor, event.action, event.subject_type, event.subject_id, event.said


COLUMNS = ("at", "actor", "action", "subject_type", "subject_id", "detail")

# Down the index from one value to the next, past all that have the same.
DISTINCT = """
    WITH RECURSIVE known AS (
        (SELECT {column} AS value FROM labeling_auditevent ORDER BY {column} LIMIT 1)
        UNION ALL
        SELECT (SELECT {column} FROM labeling_auditevent WHERE {column} > known.value ORDER BY {column} LIMIT 1)
        FROM known WHERE known.value IS NOT NULL
    )
    SELECT value FROM known WHERE value IS NOT NULL
"""


def known_actions() -> list[str]:
    """Every action that the trail has, in order."""
    return _distinct("action")


def known_kinds() -> list[str]:
    """Every kind of thing that it is about."""
    return _distinct("subject_type")


def _distinct(column: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(DISTINCT.format(column=column))
        return [value for (value,) in cursor]


def events_about(subject: Model, *, limit: int = 20) -> QuerySet[AuditEvent]:
    """The latest `limit` events about one thing."""
    rows = AuditEvent.objects.select_related("actor")
    return rows.filter(subject_type=subject._meta.model_name, subject_id=str(subject.pk)).order_by("-at", "-id")[:limit]
