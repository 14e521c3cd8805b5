"""Demonstrations: the ideal answer to a prompt, or a dialogue that goes on from it, by a person. Append-only."""

import re
import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.db.models.lookups import LessThan

from labeling.leasing.models import Lease, Task

# Of a dialogue, the last answer among them.
MOST_TURNS = 40
WORD = re.compile(r"\w+(?:['’.]\w+)*")


class Demonstration(models.Model):
    """One acknowledged answer. A correction is another row that names the one it replaces."""

    class Origin(models.TextChoices):
        WORKBENCH = "workbench"
        IMPORT = "import"
        SIMULATED = "simulated"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="demonstrations")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="demonstrations")
    # An index below begins with the labeler: none more for it.
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="demonstrations", db_index=False
    )
    group = models.CharField(max_length=12)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.WORKBENCH)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    idempotency_key = models.CharField(max_length=100)
    payload_sha256 = models.CharField(max_length=64)
    # Why it corrects the answer that it replaces.
    correction_reason = models.CharField(max_length=300, blank=True)
    surplus = models.BooleanField(default=False)
    # A dialogue's {"role", "content"} between the prompt's messages and the last answer, which is `text`.
    turns = models.JSONField(default=list, db_default=[])
    text = models.TextField()
    # Characters of it that were pasted or dropped in, as the browser counted them.
    pasted = models.IntegerField(default=0, db_default=0)
    active_seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lease", "revision"], name="demonstration_one_per_lease_and_revision"),
            models.UniqueConstraint(fields=["lease", "idempotency_key"], name="demonstration_once_per_idempotency_key"),
            models.CheckConstraint(condition=~models.Q(text=""), name="demonstration_is_not_empty"),
            models.CheckConstraint(
                condition=LessThan(
                    models.Func("turns", function="jsonb_array_length", output_field=models.IntegerField()), MOST_TURNS
                ),
                name="demonstration_has_at_most_40_turns",
            ),
            models.CheckConstraint(condition=models.Q(pasted__gte=0), name="demonstration_pasted_is_a_count"),
            models.CheckConstraint(
                condition=models.Q(revision=1, replaces__isnull=True)
                | models.Q(revision__gt=1, replaces__isnull=False),
                name="demonstration_revision_names_what_it_replaces",
            ),
            models.CheckConstraint(
                condition=models.Q(origin="simulated", group="simulated")
                | (~models.Q(origin="simulated") & ~models.Q(group="simulated")),
                name="demonstration_simulated_is_marked",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"]),
            models.Index(fields=["labeler", "created_at", "id"], name="demonstration_of_labeler"),
        ]
        triggers = [
            pgtrigger.Protect(name="demonstration_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="demonstration_has_turns_in_a_dialogue",
                operation=pgtrigger.Insert,
                when=pgtrigger.Before,
                func="""
                    IF (NEW.turns <> '[]')
                        <> ((SELECT kind FROM labeling_task WHERE id = NEW.task_id) = 'dialogue')
                    THEN
                        RAISE check_violation USING MESSAGE = 'a dialogue has turns, and nothing else has',
                            CONSTRAINT = 'demonstration_has_turns_in_a_dialogue';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    @property
    def conversation(self) -> list[dict]:
        """All that the labeler wrote, turn by turn."""
        return [*self.turns, {"role": "assistant", "content": self.text}]

    @property
    def words(self) -> int:
        """About as many as the labeler was told: the browser cuts scripts without spaces better."""
        return sum(len(WORD.findall(turn["content"])) for turn in self.conversation)

    @property
    def pasted_share(self) -> float:
        """Of the characters that the labeler wrote, how many were pasted or dropped in, 0 to 1."""
        return self.pasted / sum(len(turn["content"]) for turn in self.conversation)
