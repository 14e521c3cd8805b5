"""What was found in prompts that keeps them from being used, and what was decided."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.governance.personal_data import KINDS
from labeling.intake.models import Prompt


class Finding(models.Model):
    """Personal data that a recogniser found in one message of a prompt: where it is, never a copy of it."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="findings")
    message_index = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=40)
    start = models.PositiveIntegerField()  # characters into the message
    end = models.PositiveIntegerField()
    score = models.FloatField()
    recogniser = models.CharField(max_length=60)
    version = models.CharField(max_length=20)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="finding_spans_something"),
            models.CheckConstraint(condition=models.Q(score__gte=0, score__lte=1), name="finding_score_is_a_share"),
        ]

    @property
    def kind_in_words(self) -> str:
        """The kind in the reader's language; one that no detector knows any more as it is stored."""
        return str(KINDS.get(self.kind, self.kind))


class Decision(models.Model):
    """A person's word on a prompt: the team's, or that of who wrote or reviewed it, which can be brought back."""

    class Outcome(models.TextChoices):
        RELEASE = "release", _("Release")
        DROP = "drop", _("Drop")
        TAKE_BACK = "take_back", _("Take back")
        BRING_BACK = "bring_back", _("Bring back")

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="decisions")
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=300, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(db_default=Now())
