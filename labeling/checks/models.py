"""Check sets: tasks that researchers answered, what they all agree on, how labelers do at them, and alerts."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from labeling.leasing.models import CheckTurn, Task
from labeling.people.models import User
from labeling.rankings.models import Ranking


class CheckSet(models.Model):
    """Items that measure the labelers of some groups while it is active."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    groups = ArrayField(models.CharField(max_length=12, choices=User.Group))
    active = models.BooleanField(default=True)
    # Whether what labelers answer here may be trained on, as any other ranking.
    exported = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="check_set_has_a_name"),
            models.CheckConstraint(
                condition=models.Q(groups__contained_by=["training", "held_out", "simulated"], groups__len__gte=1),
                name="check_set_is_for_groups_of_labelers",
            ),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="check_set_newest_first")]
        triggers = [
            # Data sets may have been made since; what a set said of its answers holds.
            pgtrigger.Protect(
                name="check_set_keeps_what_it_exports",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("exported"),
            ),
            pgtrigger.Protect(name="check_set_is_never_deleted", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.name


class CheckItem(models.Model):
    """One task of a set, with what its researchers agree on, fixed when the set was made: a measure that moves
    measures nothing."""

    check_set = models.ForeignKey(CheckSet, on_delete=models.PROTECT, related_name="items")
    # In one set at most: of an answer there is one measure.
    task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="check_item")
    # [[better, worse]]: pairs of `Completion.text_sha256` that every one of `rankings` puts in this order.
    pairs = models.JSONField()
    # The researchers' answers, by id.
    rankings = ArrayField(models.UUIDField())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rankings__len__gte=1) & ~models.Q(pairs=[]), name="check_item_has_something_agreed"
            ),
        ]
        triggers = [pgtrigger.Protect(name="check_item_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]


class CheckCopy(models.Model):
    """The same prompt and completions in a task of their own, to come to labelers once more: time number `round`."""

    item = models.ForeignKey(CheckItem, on_delete=models.PROTECT, related_name="copies", db_index=False)
    round = models.PositiveSmallIntegerField()
    task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="check_copy")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "round"], name="check_copy_once_per_round"),
            models.CheckConstraint(condition=models.Q(round__gte=2), name="check_copy_is_a_later_round"),
        ]


class CheckResult(models.Model):
    """How one answer to a check compares with the researchers'. A correction puts its own figures in place."""

    turn = models.OneToOneField(CheckTurn, primary_key=True, on_delete=models.PROTECT, related_name="result")
    item = models.ForeignKey(CheckItem, on_delete=models.PROTECT, related_name="results")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    ranking = models.OneToOneField(Ranking, on_delete=models.PROTECT, related_name="+")
    # Pairs of completions in the researchers' order, of those that both put in one.
    agreed = models.PositiveSmallIntegerField()
    compared = models.PositiveSmallIntegerField()
    # Of an anchor the same against the labeler's own answer of the time before; none for gold.
    same = models.PositiveSmallIntegerField(null=True)
    same_of = models.PositiveSmallIntegerField(null=True)
    answered_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(agreed__lte=models.F("compared")), name="check_result_agrees_in_what_it_compares"
            ),
        ]
        indexes = [models.Index(fields=["labeler", "-answered_at", "-turn"], name="check_result_of_labeler")]


class CheckAlert(models.Model):
    """A labeler's agreement fell: one row for each dip, the weeks in a row that were out of control."""

    class Reason(models.TextChoices):
        LIMIT = "limit"  # a week below its control limit
        DRIFT = "drift"  # the weighted average of weeks below its own
        LEVEL = "level"  # below what the team asks for

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    # The Monday of the dip's first week.
    week = models.DateField()
    reasons = ArrayField(models.CharField(max_length=5, choices=Reason))
    # As they stood when it was raised: pairs of that week, the usual share, the lower limit.
    agreed = models.PositiveIntegerField()
    compared = models.PositiveIntegerField()
    usual = models.FloatField()
    limit = models.FloatField()
    created_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "week"], name="check_alert_once_per_labeler_and_dip"),
            models.CheckConstraint(
                condition=models.Q(acknowledged_at__isnull=True, acknowledged_by__isnull=True, note="")
                | models.Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False) & ~models.Q(note=""),
                name="check_alert_is_acknowledged_with_a_note",
            ),
            models.CheckConstraint(
                condition=models.Q(reasons__contained_by=["limit", "drift", "level"], reasons__len__gte=1),
                name="check_alert_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="check_alert_newest_first"),
            models.Index(
                fields=["-created_at", "-id"],
                condition=models.Q(acknowledged_at__isnull=True),
                name="check_alert_waiting",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="check_alert_is_acknowledged_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__acknowledged_at__isnull=False),
            ),
            pgtrigger.Protect(name="check_alert_is_never_deleted", operation=pgtrigger.Delete),
        ]

    @property
    def rate(self) -> float:
        return self.agreed / self.compared
