"""The tour of practice tasks, as labelers took it. No export, count or statistic of the team reads any of it; a
newcomer's page shows theirs."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class PracticeTour(models.Model):
    """One walk of a labeler through the practice tasks; a repetition is another."""

    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="practice_tours", db_index=False
    )
    number = models.PositiveIntegerField()
    began_at = models.DateTimeField(db_default=Now())
    # Once every practice task has been answered or skipped.
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "number"], name="practice_tour_number_once_per_labeler"),
            models.CheckConstraint(condition=models.Q(number__gte=1), name="practice_tour_number_from_1"),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True) | models.Q(finished_at__gte=models.F("began_at")),
                name="practice_tour_ends_after_it_began",
            ),
        ]


class PracticeAnswer(models.Model):
    """What was said to one practice task at one attempt. Append-only: trying again is another attempt."""

    tour = models.ForeignKey(PracticeTour, on_delete=models.PROTECT, related_name="answers", db_index=False)
    # Its name in the packaged content, which may change from release to release.
    task = models.CharField(max_length=40)
    attempt = models.PositiveIntegerField(default=1)
    # In the shape in which it was sent; {"skipped": reason} for a task that was skipped.
    answer = models.JSONField()
    # Ids of completions, in the order drawn for this attempt.
    order_shown = models.JSONField(default=list)
    idempotency_key = models.CharField(max_length=100)
    payload_sha256 = models.CharField(max_length=64)
    # Time at work, counted apart from the time at real tasks.
    active_seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tour", "task", "attempt"], name="practice_answer_once_per_attempt"),
            models.UniqueConstraint(
                fields=["tour", "task", "idempotency_key"], name="practice_answer_once_per_idempotency_key"
            ),
            models.CheckConstraint(condition=models.Q(attempt__gte=1), name="practice_answer_attempt_from_1"),
        ]
        triggers = [
            pgtrigger.Protect(name="practice_answer_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]
