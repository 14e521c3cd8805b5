"""Who did what, when."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class AuditEvent(models.Model):
    """One act of one person (or of Kwise itself, when `actor` is empty). Append-only."""

    at = models.DateTimeField(db_default=Now())
    # An index below begins with it: none more.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    action = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    # What else there is to say. Of a change `before`, {name: value}, and each name with what it is now.
    detail = models.JSONField(default=dict)

    class Meta:
        # One for each filter of the page, which reads newest first.
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["actor", "-at", "-id"], name="audit_of_actor"),
            models.Index(fields=["actor", "action", "-at", "-id"], name="audit_of_actor_and_action"),
            models.Index(fields=["action", "-at", "-id"], name="audit_of_action"),
            models.Index(fields=["subject_type", "-at", "-id"], name="audit_of_kind"),
            models.Index(fields=["subject_type", "subject_id", "-at", "-id"], name="audit_of_subject"),
        ]
        triggers = [pgtrigger.Protect(name="audit_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    @property
    def said(self) -> str:
        """The detail in a line: "group: training → held_out; reason: …"."""
        before = self.detail.get("before")
        before = before if isinstance(before, dict) else {}
        now = {name: value for name, value in self.detail.items() if name != "before"}
        was = {name: f"{_plain(value)} → " for name, value in before.items()}
        names = [*before, *(name for name in now if name not in before)]
        return "; ".join(f"{name}: {was.get(name, '')}{_plain(now.get(name))}" for name in names)


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(held)}" for name, held in value.items()) or "–"
    return "–" if value is None or value == "" else str(value)
