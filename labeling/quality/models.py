"""What quality reports are made of and what they found. All of it can be computed again from the answers."""

from django.conf import settings
from django.db import models

from labeling.sampling.models import Completion


class CompletionTraits(models.Model):
    """What of a completion may sway whoever judges it. Its text never changes, so this is counted once."""

    completion = models.OneToOneField(Completion, primary_key=True, on_delete=models.PROTECT, related_name="traits")
    words = models.PositiveIntegerField()
    markdown = models.BooleanField()
    # What wrote it; empty where several did or nobody is named.
    model = models.CharField(max_length=200, blank=True)


class QualityRun(models.Model):
    """The latest computation of all reports, of people (`simulated` false) or of simulated labelers. The row says who
    computes, as a job's does: whoever turns `began_at` from empty to now."""

    simulated = models.BooleanField(unique=True)
    began_at = models.DateTimeField(null=True)
    # When the answers were read that the reports are about; none before the first.
    read_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    version = models.PositiveSmallIntegerField(default=0)
    rankings = models.PositiveIntegerField(default=0)
    # The newest of each labeler that were read at most.
    most_each = models.PositiveIntegerField(default=0)
    # Figures that were tested.
    looks = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)


class QualityReport(models.Model):
    """One figure about one labeler, or about all of them: `reports.Finding`."""

    simulated = models.BooleanField()
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="quality_reports", db_index=False
    )
    kind = models.CharField(max_length=20)
    count = models.PositiveIntegerField()
    prompts = models.PositiveIntegerField()
    value = models.FloatField(null=True)
    reference = models.FloatField(null=True)
    effect = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    p = models.FloatField(null=True)
    # Too far off to be one of many looks, and large enough to matter.
    marked = models.BooleanField(default=False)
    detail = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["labeler", "kind", "simulated"],
                nulls_distinct=False,
                name="quality_report_once_per_labeler_and_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(p__isnull=True) | models.Q(p__gte=0, p__lte=1),
                name="quality_report_p_is_a_probability",
            ),
            models.CheckConstraint(
                condition=models.Q(low__isnull=True, high__isnull=True) | models.Q(low__lte=models.F("high")),
                name="quality_report_interval_from_low_to_high",
            ),
        ]
        indexes = [models.Index(fields=["simulated", "kind"])]


class QualityStanding(models.Model):
    """One labeler among the others: what needs a look comes first, and whether it looks like clicking through."""

    simulated = models.BooleanField()
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="quality_standings", db_index=False
    )
    # Large where there is more to look at: `services.attention`.
    attention = models.FloatField()
    marked = models.PositiveSmallIntegerField()
    # Robust standard deviations away from colleagues: together, and of each part.
    score = models.FloatField()
    skill = models.FloatField()
    speed = models.FloatField()
    straight = models.FloatField()
    spam = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["labeler", "simulated"], name="quality_standing_once_per_labeler"),
        ]
        indexes = [models.Index(fields=["simulated", "-attention", "id"], name="quality_what_needs_a_look")]
