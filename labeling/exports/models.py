"""Data sets: frozen rows in files, named by their content hash."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.background.models import Job
from labeling.demos.models import Demonstration
from labeling.intake.models import Prompt
from labeling.rankings.models import Ranking
from labeling.reviews.models import Review


class Dataset(models.Model):
    """A data set that was asked for; once it has a hash it never changes."""

    class Kind(models.TextChoices):
        DEMONSTRATIONS = "demonstrations", _("Demonstrations")
        COMPARISONS = "comparisons", _("Comparisons")
        PROMPTS = "prompts", _("Prompts")
        RATINGS = "ratings", _("Ratings")
        EVALUATIONS = "evaluations", _("Evaluations")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, blank=True)
    kind = models.CharField(max_length=15, choices=Kind)
    question = models.JSONField(default=dict)  # filters and policies, as in the manifest
    # Empty until the files are complete.
    content_hash = models.CharField(max_length=64, blank=True)
    folder = models.CharField(max_length=500, blank=True)
    manifest = models.JSONField(default=dict)
    # The same question had been asked of the same data: the files are those of this one.
    same_as = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    # Asked again without what was erased since: the data set that this one stands beside.
    rebuilds = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="rebuilt_as")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    completed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["content_hash"], condition=~models.Q(content_hash=""), name="dataset_once_per_content_hash"
            ),
        ]
        indexes = [models.Index(fields=["-created_at"])]
        triggers = [
            pgtrigger.Protect(
                name="dataset_with_hash_never_changes",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=~pgtrigger.Q(old__content_hash=""),
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.kind} {self.content_hash[:10]}"


class DatasetRow(models.Model):
    """Which answer or prompt went into which data set: what lets a ranking be followed to its checkpoints."""

    id = models.BigAutoField(primary_key=True)
    # Indexes below begin with each of these: none more for them.
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="rows", db_index=False)
    ranking = models.ForeignKey(
        Ranking, null=True, on_delete=models.PROTECT, related_name="dataset_rows", db_index=False
    )
    demonstration = models.ForeignKey(
        Demonstration, null=True, on_delete=models.PROTECT, related_name="dataset_rows", db_index=False
    )
    # The one whose edit of the demonstration is in the row.
    review = models.ForeignKey(Review, null=True, on_delete=models.PROTECT, related_name="dataset_rows", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="dataset_rows", db_index=False)

    class Meta:
        indexes = [
            # In the order of its files.
            models.Index(fields=["dataset", "id"], name="dataset_row_in_order"),
            models.Index(fields=["prompt"], name="dataset_row_of_prompt"),
            # A row is of one kind of answer: what it is not of stands in no index.
            *(
                models.Index(
                    fields=[name], condition=models.Q(**{f"{name}__isnull": False}), name=f"dataset_row_of_{name}"
                )
                for name in ("ranking", "demonstration", "review")
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="dataset_row_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class Taint(models.Model):
    """A data set has prompts in it that were erased since, or answers to them. Its files stay as they are."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="taints", db_index=False)
    # Named, for erasure stands above this feature.
    erasure = models.ForeignKey("Erasure", on_delete=models.PROTECT, related_name="taints")
    prompts = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "erasure"], name="taint_once_per_dataset_and_erasure"),
            models.CheckConstraint(condition=models.Q(prompts__gte=1, rows__gte=1), name="taint_is_of_something"),
        ]
        triggers = [pgtrigger.Protect(name="taint_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
