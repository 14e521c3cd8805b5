"""Write down who did what."""

from __future__ import annotations

from django.db.models import Model

from labeling.audit.models import AuditEvent


def record(*, actor, action: str, subject: Model, **detail: object) -> AuditEvent:
    """One line in the audit trail, in the caller's transaction. `action` reads like "batch.opened"; detail is JSON."""
    return AuditEvent.objects.create(
        actor=actor,
        action=action,
        subject_type=subject._meta.model_name,
        subject_id=str(subject.pk),
        detail=detail,
    )
