"""How newcomers come into the work: what happened to each, and what the team asks of them.

Where somebody stands is in their own row (`User.onboarding`), which every grant of a task reads anyway.
"""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from labeling.people.models import User


class OnboardingSettings(models.Model):
    """What is asked of newcomers from now on: one row, or none while nothing is asked."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # Whether who joins begins here; who was there before is asked nothing.
    switched_on = models.BooleanField(default=False)
    # Whether the practice tour must be finished.
    tour = models.BooleanField(default=True)
    # How many answers on probation are wanted.
    answers = models.PositiveSmallIntegerField(default=20)
    # Whether who gave them waits for the decision; otherwise they go on with everybody's tasks.
    waits = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="onboarding_settings_are_one_row"),
            models.CheckConstraint(
                condition=models.Q(answers__gte=1, answers__lte=500), name="onboarding_answers_are_1_to_500"
            ),
        ]


class OnboardingEvent(models.Model):
    """A step that somebody took, or what was decided about them. Append-only."""

    class Kind(models.TextChoices):
        BEGAN = "began"
        TRAINED = "trained"
        ANSWERED = "answered"
        PASSED = "passed"
        EXTENDED = "extended"
        ENDED = "ended"

    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="onboarding_events", db_index=False
    )
    kind = models.CharField(max_length=8, choices=Kind)
    # How many answers on probation are wanted of them since then.
    answers = models.PositiveSmallIntegerField()
    # Who decided, and why. None where it came by itself.
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["began", "trained", "answered"], reason="")
                | models.Q(kind__in=["passed", "extended", "ended"], actor__isnull=False) & ~models.Q(reason=""),
                name="onboarding_decision_says_who_and_why",
            ),
        ]
        indexes = [models.Index(fields=["person", "id"], name="onboarding_events_of_person")]
        triggers = [
            pgtrigger.Protect(name="onboarding_event_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            # The database itself lets nobody pass without somebody's word.
            pgtrigger.Trigger(
                name="onboarding_decision_is_by_staff",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Q(new__kind__in=["passed", "extended", "ended"]),
                func="""
                    IF NEW.actor_id = NEW.person_id OR NOT EXISTS (
                        SELECT FROM labeling_user WHERE id = NEW.actor_id AND role IN ('admin', 'researcher')
                    ) THEN
                        RAISE EXCEPTION 'Admins and researchers decide about somebody else: person %', NEW.person_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


# Of these something is asked that is not asked of others.
UNDER_WAY = (User.Onboarding.TRAINING, User.Onboarding.PROBATION, User.Onboarding.WAITING)
