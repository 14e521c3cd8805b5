"""What is left of what was erased: that it was, when, why and how much. No text, and nobody's name."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.intake.models import Prompt, Source, SourceUser


class Answers(models.TextChoices):
    """What becomes of answers to an erased prompt. Their texts go with it in any case."""

    KEEP = "keep", _("Keep them without texts: ranks, ratings and flags stay")
    ERASE = "erase", _("Erase them too: that there was an answer is all that stays")


class Erasure(models.Model):
    """The tombstone: one act of erasing prompts of one source user."""

    class Why(models.TextChoices):
        PERSON = "person", _("A person asked for it")
        RETENTION = "retention", _("Their time was over")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    why = models.CharField(max_length=9, choices=Why)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="erasures")
    # Whose they were: of a person a row that has lost its name, and a keyed hash by which they would be known again.
    source_user = models.ForeignKey(SourceUser, null=True, on_delete=models.PROTECT, related_name="erasures")
    person_key = models.CharField(max_length=64, blank=True)
    answers = models.CharField(max_length=5, choices=Answers)
    refused = models.BooleanField(default=False)  # nothing more is taken in of them
    reason = models.CharField(max_length=300, blank=True)
    # How many rows of each kind lost their texts.
    counts = models.JSONField(default=dict)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(answers__in=["keep", "erase"]), name="erasure_answers_are_known"),
            models.CheckConstraint(
                condition=models.Q(why="person", source_user__isnull=False, person_key__regex=r"^[0-9a-f]{64}$")
                & ~models.Q(reason="")
                | models.Q(why="retention", person_key="", refused=False),
                name="erasure_of_a_person_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["-at", "-id"], name="erasure_newest"),
            models.Index(fields=["person_key"], condition=~models.Q(person_key=""), name="erasure_of_person"),
        ]
        triggers = [pgtrigger.Protect(name="erasure_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return str(self.pk)[:8]


class ErasedPrompt(models.Model):
    """Which prompts an erasure took the texts of."""

    prompt = models.OneToOneField(Prompt, on_delete=models.PROTECT, related_name="erased_by")
    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="prompts")

    class Meta:
        triggers = [
            pgtrigger.Protect(name="erased_prompt_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class Retention(models.Model):
    """How long prompts of a source are kept; without a row, for ever."""

    source = models.OneToOneField(Source, primary_key=True, on_delete=models.PROTECT, related_name="retention")
    days = models.PositiveIntegerField()
    answers = models.CharField(max_length=5, choices=Answers, default=Answers.KEEP)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(days__gte=1, days__lte=36_500), name="retention_of_1_to_36500"),
            models.CheckConstraint(
                condition=models.Q(answers__in=["keep", "erase"]), name="retention_answers_are_known"
            ),
        ]
