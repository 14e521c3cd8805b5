"""Rankings: what a labeler thought of each completion, and their order with ties. Append-only."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.forms.models import FormVersion
from labeling.leasing.models import Lease, Task
from labeling.sampling.models import Completion


class Ranking(models.Model):
    """One acknowledged answer. A correction is another row that names the one it replaces."""

    class Origin(models.TextChoices):
        WORKBENCH = "workbench", _("Workbench")
        IMPORT = "import", _("Import")
        SIMULATED = "simulated", _("Simulated")

    class Outcome(models.TextChoices):
        RANKED = "ranked"
        ALL_BAD = "all_bad"
        CANNOT_RANK = "cannot_rank"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="rankings")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="rankings")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="rankings")
    # The group when the answer was given; a later move changes nothing in the past.
    group = models.CharField(max_length=12)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.WORKBENCH)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    idempotency_key = models.CharField(max_length=100)
    # SHA-256 of the answer as sent: the same key with other content is a conflict, not a repeat.
    payload_sha256 = models.CharField(max_length=64)
    # Why it corrects the answer that it replaces.
    correction_reason = models.CharField(max_length=300, blank=True)
    surplus = models.BooleanField(default=False)
    # A researcher's decision about what the labelers of the task disagree on. It may have been given in sight of their
    # answers, so it is compared with none of them.
    adjudicates = models.BooleanField(default=False, db_default=False)
    # Only what was ranked is compared; the other outcomes are answers all the same.
    outcome = models.CharField(max_length=11, choices=Outcome, default=Outcome.RANKED)
    # The form it was given under; none for one from elsewhere.
    form_version = models.ForeignKey(FormVersion, null=True, on_delete=models.PROTECT, related_name="rankings")
    order_shown = models.JSONField()
    order_ranked = models.JSONField(default=list)
    # Of a pair: from 1, the first shown is much better, over 5, they are even, to 9, the second is.
    strength = models.PositiveSmallIntegerField(null=True)
    # Pairs of completion ids that the labeler called the same.
    same = models.JSONField(default=list)
    # The order is the one of the ratings, asked for by the labeler and not changed since.
    by_ratings = models.BooleanField(default=False)
    # {"flags": [name], "values": {name: value}} of the form's fields about the prompt.
    prompt_fields = models.JSONField(default=dict)
    note = models.TextField(blank=True)
    active_seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lease", "revision"], name="ranking_one_per_lease_and_revision"),
            models.UniqueConstraint(fields=["lease", "idempotency_key"], name="ranking_once_per_idempotency_key"),
            models.CheckConstraint(
                condition=models.Q(revision=1, replaces__isnull=True)
                | models.Q(revision__gt=1, replaces__isnull=False),
                name="ranking_revision_names_what_it_replaces",
            ),
            models.CheckConstraint(
                condition=models.Q(outcome__in=["ranked", "all_bad", "cannot_rank"]), name="ranking_outcome_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(strength__isnull=True) | models.Q(strength__gte=1, strength__lte=9),
                name="ranking_strength_1_to_9",
            ),
            models.CheckConstraint(
                condition=models.Q(group__in=["training", "held_out", "researcher", "simulated", "applicant"]),
                name="ranking_group_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(origin="simulated", group="simulated")
                | (~models.Q(origin="simulated") & ~models.Q(group="simulated")),
                name="ranking_simulated_is_marked",
            ),
            models.CheckConstraint(
                condition=models.Q(adjudicates=False) | models.Q(group="researcher"),
                name="ranking_adjudicates_as_a_researcher",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"]),
            models.Index(fields=["labeler", "-created_at"]),
            models.Index(
                fields=["labeler", "-created_at"], condition=models.Q(revision__gt=1), name="ranking_corrections"
            ),
            models.Index(fields=["task"], condition=models.Q(adjudicates=True), name="ranking_that_adjudicates"),
        ]
        triggers = [
            pgtrigger.Protect(name="ranking_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            # With the answer itself, so that nothing shows a task as waiting that was decided.
            pgtrigger.Trigger(
                name="ranking_decides_its_case",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__adjudicates=True, new__surplus=False),
                func="""
                    UPDATE labeling_adjudicationcase SET state = 'decided', outcome_id = NEW.id, decided_at = now()
                        WHERE task_id = NEW.task_id;
                    RETURN NULL;
                """,
            ),
            # With the correction itself: no second look waits for what was corrected.
            pgtrigger.Trigger(
                name="ranking_ends_its_second_look",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__replaces__isnull=False),
                func="""
                    UPDATE labeling_secondlook look SET state = 'corrected', answer_id = NEW.id, ended_at = now()
                        FROM labeling_erroritem item
                        WHERE item.ranking_id = NEW.replaces_id AND look.item_id = item.id AND look.state = 'waiting';
                    RETURN NULL;
                """,
            ),
        ]


class Judgment(models.Model):
    """What was said of one completion within a ranking. Rank 1 is best; equal ranks are a tie."""

    ranking = models.ForeignKey(Ranking, on_delete=models.PROTECT, related_name="judgments")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="judgments")
    # None where no order was asked for, or none could be given.
    rank = models.PositiveSmallIntegerField(null=True)
    rating = models.PositiveSmallIntegerField(null=True)
    flags = models.JSONField(default=list)
    # The form's other fields: {name: value}.
    values = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ranking", "completion"], name="judgment_once_per_completion"),
            models.CheckConstraint(
                condition=models.Q(rank__isnull=True) | models.Q(rank__gte=1, rank__lte=26),
                name="judgment_rank_1_to_26",
            ),
            models.CheckConstraint(
                condition=models.Q(rating__isnull=True) | models.Q(rating__gte=1, rating__lte=7),
                name="judgment_rating_1_to_7",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="judgment_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]
