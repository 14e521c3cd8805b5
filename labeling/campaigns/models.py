"""Evaluation of models by people: the same prompts answered by several models, ranked blindly."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from labeling.sampling.models import Batch, Endpoint


class Campaign(models.Model):
    """A blind comparison of a candidate with a baseline, on an evaluation batch of their completions."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, related_name="campaign")
    baseline = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="+")
    candidate = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(baseline=models.F("candidate")), name="campaign_compares_two_endpoints"
            ),
        ]
