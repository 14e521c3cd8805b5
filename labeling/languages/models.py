"""Which language prompts are in, as a program tells it."""

from django.db import models
from django.db.models.functions import Now

from labeling.intake.models import Prompt


class PromptLanguage(models.Model):
    """What the detector named last; another detector's word replaces it."""

    prompt = models.OneToOneField(Prompt, primary_key=True, on_delete=models.PROTECT, related_name="language")
    # ISO 639-1, or `detecting.UNKNOWN`.
    code = models.CharField(max_length=8)
    # The detector's, of its best guess among the languages it knows.
    probability = models.FloatField()
    detector = models.CharField(max_length=60)
    detected_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(probability__gt=0, probability__lte=1), name="prompt_language_has_a_probability"
            ),
            models.CheckConstraint(condition=models.Q(code__regex=r"^[a-z]{2,3}$"), name="prompt_language_is_a_code"),
        ]
        indexes = [models.Index(fields=["code", "prompt"], name="prompt_by_language")]
