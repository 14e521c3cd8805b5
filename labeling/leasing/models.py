"""Tasks, the seats in them, and the leases by which labelers sit."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce, Now

from labeling.forms.models import FormVersion
from labeling.guidelines.models import Guideline
from labeling.people.models import User
from labeling.sampling.models import Batch, BatchItem


class Task(models.Model):
    """What a labeler sees: one prompt with its K completions (or none, to be answered by hand), or a brief."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.OneToOneField(BatchItem, on_delete=models.PROTECT, related_name="task")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="tasks")
    kind = models.CharField(max_length=15, choices=Batch.Kind)
    # Wanted from everybody in the batch's groups: seats are added as people join.
    shared = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["batch", "id"], condition=models.Q(shared=True), name="task_shared_of_batch"),
        ]


class Seat(models.Model):
    """One of the `overlap` places at a task. Taken and freed by changing `state` under its row lock."""

    class State(models.TextChoices):
        FREE = "free"
        TAKEN = "taken"
        FILLED = "filled"
        # Its prompt was held or dropped: offered to nobody, and in no queue.
        WITHHELD = "withheld"

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="seats")
    # The task's: the queue of a batch is one index.
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="seats")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.FREE)
    # Where it stands in the queue since it was freed, a number after all that were given then; before, its id.
    freed = models.BigIntegerField(null=True)
    groups = ArrayField(models.CharField(max_length=12, choices=User.Group), default=list)
    # The prompt's: who opted out of one of these is not offered the seat.
    categories = ArrayField(models.CharField(max_length=20), default=list, db_default=[])
    # Whose work it is about: never offered to them.
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # For a researcher who decides what labelers disagree about: in no queue, so it has no groups.
    adjudicates = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="seat_number_once_per_task"),
            models.CheckConstraint(
                condition=models.Q(adjudicates=False) | models.Q(groups=[]), name="seat_that_adjudicates_is_in_no_queue"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["free", "taken", "filled", "withheld"]), name="seat_state_is_known"
            ),
        ]
        indexes = [
            models.Index(
                "batch", Coalesce("freed", "id"), condition=models.Q(state="free"), name="seat_queue_of_batch"
            ),
        ]
        triggers = [
            # So that the one below can trust what it reads.
            pgtrigger.Protect(
                name="seat_keeps_its_author",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("author", "adjudicates"),
            ),
        ]


class Lease(models.Model):
    """One labeler's hold on a task: one row for ever, whatever becomes of it."""

    class State(models.TextChoices):
        OPEN = "open"
        # Fetched ahead: it has its seat behind the open one, and has not been begun.
        AHEAD = "ahead"
        SUBMITTED = "submitted"
        EXPIRED = "expired"
        SKIPPED = "skipped"
        RETURNED = "returned"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Unique constraints below begin with the task, an index with the labeler: no index more for either.
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="leases", db_index=False)
    # Empty once the seat was freed; a late answer without one is surplus.
    seat = models.ForeignKey(Seat, null=True, on_delete=models.PROTECT, related_name="leases")
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="leases", db_index=False
    )
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    # Completion ids in the order drawn for this labeler.
    order_shown = models.JSONField(default=list)
    # Drawn once more for the second step, in which they are ranked.
    order_ranked = models.JSONField(default=list)
    # What is asked: the newest version of the batch's form when the task was handed out. None where nothing is ranked.
    form_version = models.ForeignKey(FormVersion, null=True, on_delete=models.PROTECT, related_name="leases")
    # The guidelines that held when it was granted; empty before there were any.
    guideline = models.ForeignKey(Guideline, null=True, on_delete=models.PROTECT, related_name="leases")
    granted_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    skip_reason = models.CharField(max_length=300, blank=True)
    draft = models.JSONField(default=dict)
    # Drafts carry a number from the browser: an older one never replaces a newer one.
    draft_version = models.PositiveBigIntegerField(default=0)
    draft_at = models.DateTimeField(null=True)
    active_seconds = models.PositiveIntegerField(default=0)
    # When its labeler opened their answer to correct it, from when on time at the correction counts; empty once that is
    # stored.
    correction_opened_at = models.DateTimeField(null=True)
    # Its latest answer was reviewed and waits to be corrected by its labeler, however old it is.
    sent_back = models.BooleanField(default=False, db_default=False)
    # Of a researcher who decides: in a seat that adjudicates, or without one.
    adjudicates = models.BooleanField(default=False, db_default=False)
    # What it is about was erased: nothing more is written on it.
    erased = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(erased=False) | ~models.Q(state__in=["open", "ahead"]) & models.Q(draft={}),
                name="lease_erased_is_over",
            ),
            models.UniqueConstraint(
                fields=["seat"], condition=models.Q(state__in=["open", "ahead"]), name="lease_one_open_per_seat"
            ),
            models.UniqueConstraint(
                fields=["seat"], condition=models.Q(state="submitted"), name="lease_one_submitted_per_seat"
            ),
            models.UniqueConstraint(fields=["task", "labeler"], name="lease_once_per_task_and_labeler"),
            models.UniqueConstraint(
                fields=["labeler"], condition=models.Q(state="open"), name="lease_one_open_per_labeler"
            ),
            models.UniqueConstraint(
                fields=["labeler"], condition=models.Q(state="ahead"), name="lease_one_ahead_per_labeler"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["open", "ahead", "submitted", "expired", "skipped", "returned"]),
                name="lease_state_is_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["open", "ahead"]) | models.Q(seat__isnull=False),
                name="lease_open_has_seat",
            ),
            models.CheckConstraint(
                condition=models.Q(sent_back=False) | models.Q(state="submitted"), name="lease_sent_back_has_an_answer"
            ),
            models.CheckConstraint(
                condition=models.Q(correction_opened_at__isnull=True) | models.Q(state="submitted"),
                name="lease_correction_is_of_an_answer",
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(state__in=["open", "ahead"]), name="lease_open_by_expiry"
            ),
            # A grant looks for unfinished work of one labeler, who may have done thousands.
            models.Index(
                fields=["labeler"], condition=models.Q(state__in=["expired", "returned"]), name="lease_left_of_labeler"
            ),
            models.Index(fields=["labeler", "-granted_at"]),
            # What somebody answered today, and their time at it, without a look at the rows.
            models.Index(
                fields=["labeler", "ended_at"],
                include=["active_seconds"],
                condition=models.Q(state="submitted"),
                name="lease_answered_by_labeler",
            ),
            models.Index(
                fields=["labeler", "ended_at"], condition=models.Q(state="skipped"), name="lease_skipped_by_labeler"
            ),
            models.Index(
                fields=["labeler", "ended_at"], condition=models.Q(sent_back=True), name="lease_sent_back_of_labeler"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="lease_is_not_of_the_author",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("seat_id", "labeler_id"),
                condition=pgtrigger.Q(new__seat__isnull=False),
                func="""
                    IF EXISTS (
                        SELECT FROM labeling_seat seat WHERE seat.id = NEW.seat_id
                            AND (seat.author_id = NEW.labeler_id OR seat.adjudicates <> NEW.adjudicates)
                    ) THEN
                        RAISE EXCEPTION 'Nobody reviews their own work, nor sits where one decides: seat %, labeler %',
                            NEW.seat_id, NEW.labeler_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class QueuePosition(models.Model):
    """How far along the queue of a batch a labeler is: what stands before was theirs, or was not for them.

    Spares a grant the walk past all that its labeler has done. Never decides anything: where it shows nothing, the
    whole queue is looked at.
    """

    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="queue_positions")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="queue_positions")
    place = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "batch"], name="queue_position_once_per_labeler_and_batch"),
        ]


class CheckTurn(models.Model):
    """A task that is to come to one labeler as a hidden check, in place of the next of their queue.

    Planned by `labeling.checks`; a grant that serves it makes a seat for it, which is nobody else's, and says when.
    """

    class Kind(models.TextChoices):
        GOLD = "gold"  # never seen by the labeler, answered by researchers
        ANCHOR = "anchor"  # seen and answered before

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="check_turns", db_index=False)
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="check_turns", db_index=False
    )
    kind = models.CharField(max_length=6, choices=Kind)
    created_at = models.DateTimeField(db_default=Now())
    served_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "labeler"], name="check_turn_once_per_task_and_labeler"),
            models.CheckConstraint(condition=models.Q(kind__in=["gold", "anchor"]), name="check_turn_kind_is_known"),
        ]
        indexes = [
            models.Index(
                fields=["labeler", "id"],
                condition=models.Q(served_at__isnull=True),
                name="check_turn_waits_for_labeler",
            ),
            models.Index(fields=["labeler", "served_at"], name="check_turn_of_labeler"),
        ]
        triggers = [
            # Whose answers measure people is decided before they are given.
            pgtrigger.Protect(
                name="check_turn_stays_once_served",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__served_at__isnull=False),
            ),
            pgtrigger.Protect(
                name="check_turn_keeps_whose_it_is",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("task", "labeler", "kind"),
            ),
        ]
