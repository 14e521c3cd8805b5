"""What prompts are used for: what people said, what follows from it, what a classifier suggests, and the mix aimed at.

People's words and suggestions never share a table. docs/use-cases.md says how they relate.
"""

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.intake.models import Prompt, UseCase

APPEND_ONLY = pgtrigger.Update | pgtrigger.Delete


class UseCaseTarget(models.Model):
    """One version of the mix aimed at, and of when the classifier's suggestion is shown. The newest holds."""

    class Shown(models.TextChoices):
        NEVER = "never", _("never")
        AFTER = "after", _("after the answer")
        BEFORE = "before", _("before the answer, marked as a suggestion")

    number = models.PositiveIntegerField(unique=True)
    # Per cent of each of UseCase, in its order; together 100.
    shares = ArrayField(models.FloatField(), size=len(UseCase))
    suggestions = models.CharField(max_length=6, choices=Shown, default=Shown.AFTER)
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(suggestions__in=["never", "after", "before"]), name="use_case_suggestions_are_shown"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="use_case_target_is_append_only", operation=APPEND_ONLY),
            pgtrigger.Trigger(
                name="use_case_target_is_a_whole",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func=f"""
                    IF coalesce(array_length(NEW.shares, 1), 0) <> {len(UseCase)} OR EXISTS (
                        SELECT FROM unnest(NEW.shares) share
                        HAVING bool_or(share IS NULL OR share < 0) OR abs(sum(share) - 100) > 0.11
                    ) THEN
                        RAISE EXCEPTION 'The shares of a mix of use cases are at least 0 and together 100 per cent';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    @property
    def by_use_case(self) -> dict[str, float]:
        """Use case → per cent."""
        return dict(zip(UseCase.values, self.shares, strict=True))


class UseCaseAssignment(models.Model):
    """One word on one prompt: a person's newest counts. An empty use case takes theirs back. Nobody's is what came with
    the prompt, kept when a person first says something."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="use_case_assignments", db_index=False)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    use_case = models.CharField(max_length=20, choices=UseCase, blank=True)
    # What the classifier suggested in sight of whoever answered; empty where they answered by themselves.
    saw = models.CharField(max_length=20, choices=UseCase, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(use_case__in=[*UseCase.values, ""], saw__in=[*UseCase.values, ""]),
                name="use_case_assignment_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(person__isnull=False) | ~models.Q(use_case="") & models.Q(saw=""),
                name="use_case_assignment_is_a_persons_or_came_with_the_prompt",
            ),
            models.UniqueConstraint(
                fields=["prompt"], condition=models.Q(person__isnull=True), name="use_case_came_with_the_prompt_once"
            ),
        ]
        indexes = [
            models.Index(fields=["prompt", "person", "-id"], name="use_case_said_of_prompt"),
            models.Index(fields=["person", "-id"], name="use_case_said_by_person"),
        ]
        triggers = [pgtrigger.Protect(name="use_case_assignment_is_append_only", operation=APPEND_ONLY)]


class UseCaseStanding(models.Model):
    """What people say of a prompt at the moment; made from the assignments, in the transaction that adds one. While
    nobody says anything there is no row, or `use_case` is empty."""

    prompt = models.OneToOneField(Prompt, primary_key=True, on_delete=models.PROTECT, related_name="use_case_standing")
    use_case = models.CharField(max_length=20, choices=UseCase, blank=True)
    people = models.PositiveSmallIntegerField()
    # Of them, how many say `use_case`.
    votes = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(use_case="", people=0, votes=0)
                | models.Q(use_case__in=UseCase.values, votes__gte=1, votes__lte=models.F("people")),
                name="use_case_standing_rests_on_people",
            ),
        ]
        indexes = [
            # Agreement reads these alone.
            models.Index(fields=["prompt"], condition=models.Q(people__gte=2), name="use_case_said_by_several"),
        ]


class UseCaseModel(models.Model):
    """One version of the classifier, trained on what people said. Its weights are arrays, never a pickle."""

    number = models.PositiveIntegerField(unique=True)
    # NumPy's npz, read with allow_pickle=False; see `classifying`.
    weights = models.BinaryField()
    weights_sha256 = models.CharField(max_length=64)
    # Of prompts' digests and what people say of them, in order: the same data give the same hash.
    data_sha256 = models.CharField(max_length=64)
    library = models.CharField(max_length=60)
    prompts = models.PositiveIntegerField()
    # Shares of those prompts that nobody named in sight of a suggestion, each told by a model that had not seen it.
    measured = models.PositiveIntegerField()
    accuracy = models.FloatField()
    accuracy_low = models.FloatField()
    accuracy_high = models.FloatField()
    # The same share for who always says the most frequent use case, and for who says each as often as it comes.
    majority = models.FloatField()
    chance = models.FloatField()
    # {use case: {"prompts", "precision", "recall"}}
    by_use_case = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    accuracy_low__gte=0,
                    accuracy__gte=models.F("accuracy_low"),
                    accuracy_high__gte=models.F("accuracy"),
                    accuracy_high__lte=1,
                    majority__gte=0,
                    majority__lte=1,
                    chance__gte=0,
                    chance__lte=1,
                ),
                name="use_case_model_says_how_good_it_is",
            ),
        ]
        triggers = [pgtrigger.Protect(name="use_case_model_is_append_only", operation=APPEND_ONLY)]

    @property
    def interval(self) -> tuple[float, float]:
        return self.accuracy_low, self.accuracy_high


class UseCaseSuggestion(models.Model):
    """What a classifier makes of a prompt. Nobody's word: `Prompt.use_case` never comes from here."""

    prompt = models.OneToOneField(
        Prompt, primary_key=True, on_delete=models.PROTECT, related_name="use_case_suggestion"
    )
    model = models.ForeignKey(UseCaseModel, on_delete=models.PROTECT, related_name="suggestions", db_index=False)
    use_case = models.CharField(max_length=20, choices=UseCase)
    probability = models.FloatField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(use_case__in=UseCase.values), name="use_case_suggestion_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(probability__gt=0, probability__lte=1),
                name="use_case_suggestion_has_a_probability",
            ),
        ]
        indexes = [models.Index(fields=["model", "prompt"], name="use_case_suggested_by_model")]
