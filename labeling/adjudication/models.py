"""What labelers disagree about: when something is done, what was found of each task, and what a researcher decided."""

from __future__ import annotations

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.leasing.models import Lease, Task
from labeling.rankings.models import Ranking
from labeling.sampling.models import Batch

MOST_SEATS = 20


class AdjudicationRule(models.Model):
    """What happens to tasks whose labelers disagree: in one batch, or, without one, wherever a batch has none."""

    class Policy(models.TextChoices):
        OFF = "off", _("nothing; it is not measured")
        LABELERS = "labelers", _("more labelers answer")
        RESEARCHER = "researcher", _("a researcher decides")
        BOTH = "labelers_then_researcher", _("more labelers answer, then a researcher decides")

    batch = models.ForeignKey(
        Batch, null=True, on_delete=models.PROTECT, related_name="adjudication_rules", db_index=False
    )
    policy = models.CharField(max_length=24, choices=Policy, default=Policy.OFF)
    # Percent: what is above is acted upon.
    threshold = models.PositiveSmallIntegerField(default=40)
    # How many more labelers are asked at a time, and in all.
    seats = models.PositiveSmallIntegerField(default=1)
    most = models.PositiveSmallIntegerField(default=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["batch"], nulls_distinct=False, name="adjudication_rule_once_per_batch"),
            models.CheckConstraint(
                condition=models.Q(policy__in=["off", "labelers", "researcher", "labelers_then_researcher"]),
                name="adjudication_policy_is_known",
            ),
            models.CheckConstraint(condition=models.Q(threshold__lte=99), name="adjudication_threshold_0_to_99"),
            models.CheckConstraint(
                condition=models.Q(seats__gte=1, seats__lte=models.F("most"), most__lte=MOST_SEATS),
                name="adjudication_seats_1_to_most",
            ),
        ]


class AdjudicationCase(models.Model):
    """How one task stands whose answers were compared. The row's lock decides who looks at the task."""

    class State(models.TextChoices):
        AGREED = "agreed", _("agreed")
        MORE = "more", _("waits for more labelers")
        WAITING = "waiting", _("waits for a researcher")
        # Above the setting, and nothing more is to be done about it.
        CONTESTED = "contested", _("in disagreement")
        DECIDED = "decided", _("decided")

    task = models.OneToOneField(Task, primary_key=True, on_delete=models.PROTECT, related_name="adjudication_case")
    # The task's.
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=9, choices=State, default=State.AGREED)
    # Of the newest assessment: 0 to 1; none where no two answers can be compared.
    disagreement = models.FloatField(null=True)
    # Seats beyond the overlap.
    opened = models.PositiveSmallIntegerField(default=0)
    # The researcher's answer that counts, in its newest revision. Set by a trigger of the answers.
    outcome = models.OneToOneField(Ranking, null=True, on_delete=models.PROTECT, related_name="decides")
    decided_at = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["agreed", "more", "waiting", "contested"], outcome__isnull=True)
                | models.Q(state="decided", outcome__isnull=False, decided_at__isnull=False),
                name="adjudication_case_is_decided_by_its_outcome",
            ),
            models.CheckConstraint(
                condition=models.Q(disagreement__isnull=True) | models.Q(disagreement__gte=0, disagreement__lte=1),
                name="adjudication_disagreement_0_to_1",
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-looked_at", "task"], name="adjudication_by_state"),
            models.Index(fields=["batch", "state", "-looked_at", "task"], name="adjudication_by_batch"),
        ]


class Assessment(models.Model):
    """One look at a task: which answers it saw, how far apart they are, what follows. Append-only."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="assessments", db_index=False)
    number = models.PositiveSmallIntegerField()
    # Ids of the rankings, in the order in which they are called A, B, C ….
    answers = models.JSONField()
    disagreement = models.FloatField(null=True)
    # Of each two answers {"first", "second": places in `answers`, "apart", "compared", "disagreement"}.
    pairs = models.JSONField()
    # {"policy", "threshold", "seats", "most"} that held.
    rule = models.JSONField()
    state = models.CharField(max_length=9, choices=AdjudicationCase.State)
    # Seats that it opened, less than 0 for those that it took back.
    opened = models.SmallIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="assessment_number_once_per_task"),
            models.CheckConstraint(
                condition=models.Q(state__in=["agreed", "more", "waiting", "contested", "decided"]),
                name="assessment_state_is_known",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="assessment_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class AdjudicationRequest(models.Model):
    """Somebody of the team sent one task to a researcher or to more labelers, whatever its answers say. Append-only."""

    class To(models.TextChoices):
        RESEARCHER = "researcher", _("a researcher, who decides")
        LABELERS = "labelers", _("more labelers")

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="adjudication_requests")
    to = models.CharField(max_length=10, choices=To)
    # Ids of the seats that it opened for labelers.
    seats = ArrayField(models.BigIntegerField(), default=list)
    reason = models.CharField(max_length=500)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(reason=""), name="adjudication_request_says_why"),
            models.CheckConstraint(
                condition=models.Q(to="researcher", seats=[])
                | models.Q(to="labelers", seats__len__gte=1, seats__len__lte=MOST_SEATS),
                name="adjudication_request_opens_seats_for_labelers",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="adjudication_request_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete
            ),
        ]


class AdjudicationReveal(models.Model):
    """A researcher who decides has seen the labelers' answers since then. Append-only."""

    lease = models.OneToOneField(Lease, on_delete=models.PROTECT, related_name="reveal")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        triggers = [
            pgtrigger.Protect(name="reveal_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class AdjudicationTally(models.Model):
    """How many tasks of a batch were looked at: counting them would cost more the more there are."""

    batch = models.OneToOneField(Batch, primary_key=True, on_delete=models.PROTECT, related_name="+")
    looked = models.PositiveIntegerField(default=0)


class AdjudicationLook(models.Model):
    """The latest look at new answers: one row. Whoever turns `began_at` from empty to now looks."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    began_at = models.DateTimeField(null=True)
    # Answers before this moment were looked at.
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="adjudication_look_is_one_row"),
        ]
