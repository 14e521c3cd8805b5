"""Training runs, the checkpoints they leave, and where those are served."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.background.models import Job
from labeling.exports.models import Dataset
from labeling.sampling.models import Endpoint


class Checkpoint(models.Model):
    """A model in the registry: a base brought from outside, or what a run left."""

    class Kind(models.TextChoices):
        POLICY = "policy"
        REWARD = "reward"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    folder = models.CharField(max_length=500)
    # SHA-256 over the names and bytes of the weight files.
    weights_sha256 = models.CharField(max_length=64)
    run = models.OneToOneField("Run", null=True, on_delete=models.PROTECT, related_name="checkpoint")
    metrics = models.JSONField(default=dict)
    # Where it is served; set by publishing.
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.PROTECT, related_name="checkpoints")
    published_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(endpoint__isnull=True) | models.Q(published_at__isnull=False),
                name="checkpoint_served_was_published",
            ),
        ]
        triggers = [
            pgtrigger.ReadOnly(
                name="checkpoint_weights_are_read_only", fields=["kind", "folder", "weights_sha256", "run"]
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One training run: a subprocess that reads data sets and writes a run folder. Its state is its job's."""

    class Algorithm(models.TextChoices):
        SFT = "sft", "SFT"
        RM = "rm", _("reward model")
        PPO = "ppo", _("PPO / PPO-ptx")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, unique=True)
    algorithm = models.CharField(max_length=5, choices=Algorithm)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="runs")
    base = models.ForeignKey(Checkpoint, on_delete=models.PROTECT, related_name="children")
    reward = models.ForeignKey(
        Checkpoint, null=True, blank=True, on_delete=models.PROTECT, related_name="rewarded_runs"
    )
    # RM: demonstrations whose mean reward becomes 0. PPO: text for the pretraining mix.
    auxiliary = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    preset = models.CharField(max_length=60, default="demo")
    arguments = models.JSONField(default=dict)
    seed = models.BigIntegerField(default=0)
    folder = models.CharField(max_length=500)
    code_version = models.CharField(max_length=80, blank=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.PROTECT, related_name="+")
    report = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(algorithm="ppo", reward__isnull=False)
                | (~models.Q(algorithm="ppo") & models.Q(reward__isnull=True)),
                name="run_ppo_has_reward_model",
            ),
        ]
        indexes = [models.Index(fields=["-created_at"])]
        triggers = [
            pgtrigger.ReadOnly(
                name="run_inputs_are_read_only",
                fields=["algorithm", "dataset", "base", "reward", "auxiliary", "preset", "arguments", "seed", "folder"],
            ),
        ]

    def __str__(self) -> str:
        return self.name
