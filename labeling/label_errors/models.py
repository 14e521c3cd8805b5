"""How suspicious each answer is, which answers were drawn to be looked at, and what was found.

docs/label-errors.md says what the figures mean. Everything but draws and verdicts can be computed again.
"""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.leasing.models import Lease, Task
from labeling.rankings.models import Ranking
from labeling.sampling.models import Completion


class CompletionScore(models.Model):
    """What one reward model gives one completion, asked once. Without a score where the model would not have it."""

    # Named, for the registry of models stands above this feature.
    checkpoint = models.ForeignKey("Checkpoint", on_delete=models.PROTECT, related_name="+", db_index=False)
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="scores")
    score = models.FloatField(null=True)  # the model's raw score, unitless, higher is better
    refused = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["checkpoint", "completion"], name="completion_score_once_per_model"),
            models.CheckConstraint(
                condition=models.Q(score__isnull=False, refused="")
                | models.Q(score__isnull=True) & ~models.Q(refused=""),
                name="completion_score_or_why_not",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="completion_score_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class SuspicionState(models.Model):
    """One row: which reward model is asked, and up to when answers have been read."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    checkpoint = models.ForeignKey("Checkpoint", null=True, on_delete=models.PROTECT, related_name="+")
    read_at = models.DateTimeField(null=True)
    # {"people" and "simulated": {"answers", "with_colleagues", "with_model"}} as of then: pages count nothing.
    figures = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="suspicion_state_is_one_row"),
        ]


class Suspicion(models.Model):
    """How much speaks against one answer: a ranking in its newest revision that puts two completions in an order."""

    ranking = models.OneToOneField(Ranking, primary_key=True, on_delete=models.PROTECT, related_name="suspicion")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="+")
    simulated = models.BooleanField()
    # Somebody is to look at it, or has.
    drawn = models.BooleanField(default=False, db_default=False)
    # Whose scores are in it; none while some of its completions have none yet.
    checkpoint = models.ForeignKey("Checkpoint", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    # Pairs of completions that it puts in an order.
    pairs = models.PositiveSmallIntegerField()
    # The probability that the model gives to the opposite order, its mean over those pairs.
    opposite = models.FloatField(null=True)
    # Comparisons with what others said of the same pairs, ties left out, and those in which they say the opposite.
    compared = models.PositiveIntegerField()
    contradicted = models.PositiveIntegerField()
    # `statistics.suspicion`: natural log odds, 0 where nothing is known.
    score = models.FloatField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(contradicted__lte=models.F("compared")), name="suspicion_contradicted_of_compared"
            ),
            models.CheckConstraint(
                condition=models.Q(opposite__isnull=True) | models.Q(opposite__gte=0, opposite__lte=1),
                name="suspicion_opposite_is_a_probability",
            ),
        ]
        indexes = [
            models.Index(
                fields=["simulated", "-score", "ranking"], condition=models.Q(drawn=False), name="suspicion_queue"
            ),
            # What a new model has not been asked about.
            models.Index(fields=["simulated", "checkpoint", "task"], name="suspicion_by_model"),
        ]


class ErrorDraw(models.Model):
    """Answers drawn to be looked at together: the most suspicious ones and a random sample, mixed by its seed."""

    size = models.PositiveSmallIntegerField()
    # Of a hundred, how many come from the most suspicious.
    share = models.PositiveSmallIntegerField()
    simulated = models.BooleanField(default=False)
    seed = models.BigIntegerField()
    checkpoint = models.ForeignKey("Checkpoint", null=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(size__gte=1, size__lte=1000), name="error_draw_of_1_to_1000"),
            models.CheckConstraint(condition=models.Q(share__lte=100), name="error_draw_share_of_a_hundred"),
        ]
        triggers = [
            pgtrigger.Protect(name="error_draw_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class ErrorItem(models.Model):
    """One answer to be looked at, who holds it, and from which arm it comes, which nobody is told before they judged.

    An answer that is suspicious and in the random sample too is looked at once and counts in both arms.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    draw = models.ForeignKey(ErrorDraw, on_delete=models.PROTECT, related_name="items", db_index=False)
    position = models.PositiveSmallIntegerField()
    ranking = models.ForeignKey(Ranking, on_delete=models.PROTECT, related_name="error_items", db_index=False)
    suspicious = models.BooleanField()
    random = models.BooleanField()
    # As they were when it was drawn.
    score = models.FloatField()
    checkpoint = models.ForeignKey("Checkpoint", null=True, on_delete=models.PROTECT, related_name="+")
    # The pairs to look at first: [[id put first, id put second]].
    pairs = models.JSONField(default=list)
    # Held until then; who judged it holds it for good.
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    claimed_until = models.DateTimeField(null=True)
    judged_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ranking"], name="error_item_once_per_answer"),
            models.UniqueConstraint(fields=["draw", "position"], name="error_item_place_once_per_draw"),
            models.UniqueConstraint(
                fields=["claimed_by"], condition=models.Q(judged_at__isnull=True), name="error_item_one_held_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(suspicious=True) | models.Q(random=True), name="error_item_has_an_arm"
            ),
            models.CheckConstraint(
                condition=models.Q(claimed_by__isnull=True, claimed_until__isnull=True, judged_at__isnull=True)
                | models.Q(claimed_by__isnull=False, claimed_until__isnull=False),
                name="error_item_is_held_until_some_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["draw", "position"], condition=models.Q(judged_at__isnull=True), name="error_item_waiting"
            ),
            models.Index(
                fields=["-judged_at", "-id"], condition=models.Q(judged_at__isnull=False), name="error_item_judged"
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="error_item_keeps_its_arm",
                fields=["draw", "position", "ranking", "suspicious", "random", "score", "checkpoint", "pairs"],
            ),
            pgtrigger.Protect(name="error_item_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="error_item_has_one_reader",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("claimed_by_id", "judged_at"),
                func="""
                    IF EXISTS (
                        SELECT FROM labeling_ranking ranking
                        WHERE ranking.id = NEW.ranking_id AND ranking.labeler_id = NEW.claimed_by_id
                    ) THEN
                        RAISE EXCEPTION 'Nobody looks for errors in their own answers: item %', NEW.id;
                    END IF;
                    IF TG_OP = 'UPDATE' AND (
                        OLD.judged_at IS NOT NULL AND (NEW.judged_at, NEW.claimed_by_id)
                            IS DISTINCT FROM (OLD.judged_at, OLD.claimed_by_id)
                        OR OLD.claimed_until > statement_timestamp() AND NEW.claimed_by_id <> OLD.claimed_by_id
                    ) THEN
                        RAISE EXCEPTION 'Somebody else holds this answer: item %', NEW.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class ErrorVerdict(models.Model):
    """What somebody says of one answer. Append-only: another opinion is another revision, of the same person."""

    class Verdict(models.TextChoices):
        ERROR = "error", _("Error")
        FINE = "fine", _("Fine")
        UNCLEAR = "unclear", _("Unclear")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(ErrorItem, on_delete=models.PROTECT, related_name="verdicts", db_index=False)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=7, choices=Verdict)
    note = models.TextField(blank=True)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item", "reviewer", "revision"], name="error_verdict_one_per_person_and_revision"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict__in=["error", "fine", "unclear"]), name="error_verdict_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(revision=1, replaces__isnull=True)
                | models.Q(revision__gt=1, replaces__isnull=False),
                name="error_verdict_revision_names_what_it_replaces",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="error_verdict_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="error_verdict_is_of_who_holds_the_answer",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NOT EXISTS (
                        SELECT FROM labeling_erroritem item
                        WHERE item.id = NEW.item_id AND item.claimed_by_id = NEW.reviewer_id
                    ) OR NEW.replaces_id IS NOT NULL AND NOT EXISTS (
                        SELECT FROM labeling_errorverdict earlier
                        WHERE earlier.id = NEW.replaces_id AND earlier.item_id = NEW.item_id
                            AND earlier.revision = NEW.revision - 1
                    ) THEN
                        RAISE EXCEPTION 'This answer is not theirs to judge: item %', NEW.item_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class SecondLook(models.Model):
    """An answer with an error, sent back to its labeler, who keeps or corrects it. They are not told what was found."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits for its labeler")
        KEPT = "kept", _("kept")
        CORRECTED = "corrected", _("corrected")
        # The verdict was changed before its labeler had looked.
        WITHDRAWN = "withdrawn", _("taken back")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(ErrorItem, on_delete=models.PROTECT, related_name="second_looks")
    # The answer's.
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="second_looks")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    asked_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=9, choices=State, default=State.WAITING)
    # The correction that came of it. Set by a trigger of the answers.
    answer = models.OneToOneField(Ranking, null=True, on_delete=models.PROTECT, related_name="second_look")
    # Why it is kept, if its labeler says.
    note = models.CharField(max_length=500, blank=True)
    active_seconds = models.PositiveIntegerField(default=0)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=~models.Q(state="withdrawn"), name="second_look_once_per_answer"
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", ended_at__isnull=True, answer__isnull=True)
                | models.Q(state="corrected", ended_at__isnull=False, answer__isnull=False)
                | models.Q(state__in=["kept", "withdrawn"], ended_at__isnull=False, answer__isnull=True),
                name="second_look_ends_with_its_outcome",
            ),
            models.CheckConstraint(
                condition=models.Q(note="") | models.Q(state="kept"), name="second_look_note_says_why_it_is_kept"
            ),
        ]
        indexes = [
            # What was added to the time of a day that is over.
            models.Index(fields=["ended_at"], condition=models.Q(state="kept"), name="second_look_kept"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="second_look_ends_once", operation=pgtrigger.Update, condition=~pgtrigger.Q(old__state="waiting")
            ),
            pgtrigger.ReadOnly(
                name="second_look_keeps_what_was_asked", fields=["item", "lease", "asked_by", "asked_at"]
            ),
            pgtrigger.Protect(name="second_look_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Trigger(
                name="second_look_follows_an_error",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NOT EXISTS (
                        SELECT FROM labeling_erroritem item
                        JOIN labeling_ranking ranking ON ranking.id = item.ranking_id
                        JOIN labeling_errorverdict said ON said.item_id = item.id AND said.verdict = 'error'
                        WHERE item.id = NEW.item_id AND ranking.lease_id = NEW.lease_id
                            AND NOT EXISTS (SELECT FROM labeling_errorverdict later WHERE later.replaces_id = said.id)
                            AND NOT EXISTS (SELECT FROM labeling_ranking newer WHERE newer.replaces_id = ranking.id)
                    ) THEN
                        RAISE EXCEPTION 'The newest answer is sent back, where it has an error: item %', NEW.item_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]
