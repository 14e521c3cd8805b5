"""The team's guidelines, version by version, and who has read which."""

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now


class Guideline(models.Model):
    """One version of the guidelines, Markdown. The one with the highest number holds; none ever changes."""

    number = models.PositiveIntegerField(unique=True)
    title = models.CharField(max_length=120)
    text = models.TextField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(number__gte=1), name="guideline_number_is_at_least_1"),
            models.CheckConstraint(condition=~models.Q(text="") & ~models.Q(title=""), name="guideline_says_something"),
        ]
        triggers = [
            pgtrigger.Protect(name="guideline_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class GuidelineRead(models.Model):
    """A labeler said that they have read this version."""

    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, related_name="reads")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="guidelines_read")
    read_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "guideline"], name="guideline_read_once_per_labeler"),
        ]
