"""The audit trail, newest first."""

from __future__ import annotations

from django.db.models import Model, QuerySet

from labeling.audit.models import AuditEvent
from labeling.paging import Page, keyset_page


def events_page(*, action: str = "", subject_type: str = "", subject_id: str = "", after: str | None = None) -> Page:
    """Events whose action starts with `action`, about one kind of thing or one thing."""
    rows = AuditEvent.objects.select_related("actor")
    if action:
        rows = rows.filter(action__startswith=action)
    if subject_type:
        rows = rows.filter(subject_type=subject_type)
    if subject_id:
        rows = rows.filter(subject_id=subject_id)
    return keyset_page(rows, order=("-at", "-id"), after=after)


def events_about(subject: Model, *, limit: int = 20) -> QuerySet[AuditEvent]:
    """The latest `limit` events about one thing."""
    rows = AuditEvent.objects.select_related("actor")
    return rows.filter(subject_type=subject._meta.model_name, subject_id=str(subject.pk)).order_by("-at", "-id")[:limit]
