"""Check sets: tasks that researchers answered, what they all agree on, how labelers do at them, and alerts."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from labeling.forms.models import Form
from labeling.leasing.models import CheckTurn, Task
from labeling.notices.models import Notice
from labeling.people.models import User
from labeling.rankings.models import Ranking


class Measure(models.TextChoices):
    """What of a labeler's answers is compared with researchers', each with a control chart of its own."""

    PAIRS = "pairs"  # the order of two completions
    RATINGS = "ratings"  # from 1 to 7, within the set's tolerance
    FLAGS = "flags"  # set or not
    LENIENCY = "leniency"  # by how many points they rate above the researchers


class CheckSet(models.Model):
    """Items that measure the labelers of some groups while it is active."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    groups = ArrayField(models.CharField(max_length=12, choices=User.Group))
    active = models.BooleanField(default=True)
    # Whether what labelers answer here may be trained on, as any other ranking.
    exported = models.BooleanField(default=False)
    # What its items ask, as `Batch.form`, but none for the default form whichever way its batch names it: an item comes
    # in place of a task that asks the same.
    form = models.ForeignKey(Form, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    # How many points a rating may be from a researcher's and still agree.
    tolerance = models.PositiveSmallIntegerField(default=1, db_default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="check_set_has_a_name"),
            models.CheckConstraint(
                condition=models.Q(groups__contained_by=["training", "held_out", "simulated"], groups__len__gte=1),
                name="check_set_is_for_groups_of_labelers",
            ),
            models.CheckConstraint(condition=models.Q(tolerance__lte=3), name="check_set_tolerance_0_to_3"),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="check_set_newest_first")]
        triggers = [
            # Data sets may have been made since; what a set said of its answers holds.
            pgtrigger.Protect(
                name="check_set_keeps_what_it_exports",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("exported"),
            ),
            pgtrigger.Protect(
                name="check_set_keeps_what_it_measures_by",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("form", "tolerance"),
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
    # {text_sha256: [rating]}: all their ratings of a completion, where these are within the tolerance of each other.
    ratings = models.JSONField(default=dict, db_default={})
    # {text_sha256: {flag: whether it is set}}, where all of them say the same.
    flags = models.JSONField(default=dict, db_default={})
    # The researchers' answers, by id.
    rankings = ArrayField(models.UUIDField())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(rankings__len__gte=1) & ~models.Q(pairs=[], ratings={}, flags={}),
                name="check_item_has_something_agreed",
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
    # Ratings within the tolerance, of those that both gave; and the sum of all differences from the researchers' mean.
    ratings_agreed = models.PositiveSmallIntegerField(default=0, db_default=0)
    ratings_compared = models.PositiveSmallIntegerField(default=0, db_default=0)
    rating_shift = models.FloatField(default=0, db_default=0)
    # Of an anchor the same against their own ratings of the time before.
    ratings_same = models.PositiveSmallIntegerField(null=True)
    ratings_same_of = models.PositiveSmallIntegerField(null=True)
    rating_moved = models.FloatField(null=True)
    # Flags set, or not set, as the researchers have them.
    flags_agreed = models.PositiveSmallIntegerField(default=0, db_default=0)
    flags_compared = models.PositiveSmallIntegerField(default=0, db_default=0)
    answered_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(agreed__lte=models.F("compared"))
                & models.Q(ratings_agreed__lte=models.F("ratings_compared"))
                & models.Q(flags_agreed__lte=models.F("flags_compared")),
                name="check_result_agrees_in_what_it_compares",
            ),
        ]
        indexes = [models.Index(fields=["labeler", "-answered_at", "-turn"], name="check_result_of_labeler")]


class CheckAlert(models.Model):
    """A labeler's agreement fell, or their ratings moved: one row for each dip, the weeks in a row that were out of
    control in one measure."""

    class Reason(models.TextChoices):
        LIMIT = "limit"  # a week beyond its control limit
        DRIFT = "drift"  # the weighted average of weeks beyond its own
        LEVEL = "level"  # below what the team asks for

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    # The Monday of the dip's first week.
    week = models.DateField()
    reasons = ArrayField(models.CharField(max_length=5, choices=Reason))
    measure = models.CharField(max_length=8, choices=Measure, default=Measure.PAIRS, db_default=Measure.PAIRS)
    # As they stood when it was raised: pairs, ratings or flags of that week, the usual share, the lower limit. Of
    # leniency `usual` and the limit that was passed are points, as is `shift`, the week's.
    agreed = models.PositiveIntegerField()
    compared = models.PositiveIntegerField()
    usual = models.FloatField()
    limit = models.FloatField()
    shift = models.FloatField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    acknowledged_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)
    # A word to the labeler, which an admin sent.
    told = models.OneToOneField(Notice, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "measure", "week"], name="check_alert_once_per_labeler_and_dip"),
            models.CheckConstraint(
                condition=models.Q(measure__in=["pairs", "ratings", "flags"], shift__isnull=True)
                | models.Q(measure="leniency", shift__isnull=False),
                name="check_alert_of_leniency_has_its_points",
            ),
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
                condition=pgtrigger.Condition(
                    "OLD.acknowledged_at IS NOT NULL AND to_jsonb(OLD) - 'told_id' <> to_jsonb(NEW) - 'told_id'"
                ),
            ),
            pgtrigger.Protect(
                name="check_alert_tells_its_labeler_once",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.told_id IS NOT NULL AND OLD.told_id IS DISTINCT FROM NEW.told_id"),
            ),
            pgtrigger.Protect(name="check_alert_is_never_deleted", operation=pgtrigger.Delete),
        ]

    @property
    def rate(self) -> float:
        return self.agreed / self.compared
