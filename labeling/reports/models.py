"""Figures that take longer than a page may: made by a worker, shown from a row."""

from django.db import models
from django.db.models.functions import Now


class Report(models.Model):
    """One report, such as the agreement in one batch: what it says now, and who is making it anew."""

    kind = models.CharField(max_length=40)
    # What is asked, as canonical JSON, and the same to read.
    key = models.CharField(max_length=300)
    arguments = models.JSONField(default=dict)
    # None before it was made for the first time.
    content = models.JSONField(null=True)
    # {language: [[name, what `Plot.as_json` gives]]}, in the order of the page
    plots = models.JSONField(default=dict)
    # When its making began: what was stored before that is in it.
    made_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True)
    # When somebody last looked at it; the sweep keeps up what is looked at.
    asked_at = models.DateTimeField(db_default=Now())
    # Since when a worker is at it.
    claimed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True, db_default="", default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="report_once_per_question"),
            models.CheckConstraint(
                condition=models.Q(content__isnull=True, made_at__isnull=True)
                | models.Q(content__isnull=False, made_at__isnull=False),
                name="report_has_content_since_it_was_made",
            ),
        ]
