"""Work that outlives a request: a row first, a Celery message second."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Job(models.Model):
    """One piece of background work. The row, not the message, says who works on it and how far it is."""

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    class Queue(models.TextChoices):
        DEFAULT = "default"
        GPU = "gpu"

    OPEN = (State.QUEUED, State.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=40)
    arguments = models.JSONField(default=dict)
    queue = models.CharField(max_length=10, choices=Queue, default=Queue.DEFAULT)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    # One open job per key, e.g. "sample:17": pressing a button twice starts one job.
    key = models.CharField(max_length=100, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=3)
    error = models.TextField(blank=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)
    result = models.JSONField(default=dict)
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    # Not before this time: back-off between attempts.
    due_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(state__in=["queued", "running"]) & ~models.Q(key=""),
                name="job_one_open_per_key",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["queued", "running", "done", "failed", "cancelled"]),
                name="job_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | models.Q(heartbeat_at__isnull=False),
                name="job_running_has_heartbeat",
            ),
        ]
        indexes = [
            # What the sweep looks for: never more rows than there is open work.
            models.Index(
                fields=["state", "due_at"], condition=models.Q(state__in=["queued", "running"]), name="job_open"
            ),
            models.Index(fields=["-created_at"]),
        ]
