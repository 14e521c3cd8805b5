"""What labelers ask about the task at hand, and what their team answers."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from labeling.leasing.models import Lease


class Question(models.Model):
    """One labeler's thread with the team about one of their tasks."""

    class State(models.TextChoices):
        OPEN = "open"
        ANSWERED = "answered"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lease = models.OneToOneField(Lease, on_delete=models.PROTECT, related_name="question")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="questions")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    # An answer that its labeler has not looked at.
    unseen = models.BooleanField(default=False)
    created_at = models.DateTimeField(db_default=Now())
    # What all labelers may read of it, in the team's own words; empty while it is between the two.
    shared_question = models.TextField(blank=True)
    shared_answer = models.TextField(blank=True)
    shared_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(state__in=["open", "answered"]), name="question_state_is_known"),
            models.CheckConstraint(
                condition=models.Q(shared_at__isnull=True, shared_question="", shared_answer="")
                | models.Q(shared_at__isnull=False) & ~models.Q(shared_question="") & ~models.Q(shared_answer=""),
                name="question_is_shared_with_its_answer",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at", "id"]),
            models.Index(fields=["labeler", "-created_at"]),
            models.Index(
                fields=["-shared_at"], condition=models.Q(shared_at__isnull=False), name="question_shared_newest_first"
            ),
        ]


class Message(models.Model):
    """One thing said in a thread. Append-only."""

    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="messages")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(text=""), name="message_says_something")]
        triggers = [pgtrigger.Protect(name="message_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
