"""Prompts as they came in, and whose they are."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.people.models import Sensitive


class Split(models.TextChoices):
    TRAIN = "train", _("Train")
    VALID = "valid", _("Valid")
    TEST = "test", _("Test")


class UseCase(models.TextChoices):
    """The ten categories of InstructGPT's reward-model prompts (its Table 1)."""

    GENERATION = "generation", _("Generation")
    OPEN_QA = "open_qa", _("open QA")
    BRAINSTORMING = "brainstorming", _("Brainstorming")
    CHAT = "chat", _("Chat")
    REWRITE = "rewrite", _("Rewrite")
    SUMMARIZATION = "summarization", _("Summarization")
    CLASSIFICATION = "classification", _("Classification")
    OTHER = "other", _("Other")
    CLOSED_QA = "closed_qa", _("closed QA")
    EXTRACT = "extract", _("Extract")


class Source(models.Model):
    """Where prompts come from: an API, a file of seeds, a team's own labelers."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(db_default=Now())


class SourceUser(models.Model):
    """The person (or program) who wrote prompts. The split hangs here, so all their text is in one split."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="users")
    external_id = models.CharField(max_length=200)
    split = models.CharField(max_length=5, choices=Split)
    prompt_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "external_id"], name="source_user_once_per_source"),
            models.CheckConstraint(condition=models.Q(split__in=["train", "valid", "test"]), name="split_is_known"),
            models.CheckConstraint(
                condition=models.Q(prompt_count__lte=settings.PROMPTS_PER_SOURCE_USER),
                name="source_user_within_prompt_cap",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="source_user_never_changes_split",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__split__df=pgtrigger.F("new__split")),
            ),
        ]


class Import(models.Model):
    """One file of prompts or rankings that someone brought in, with what became of its lines."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    accepted = models.PositiveIntegerField(default=0)
    rejected = models.JSONField(default=dict)  # reason → count
    problems = models.JSONField(default=list)  # the first lines that went wrong: {"line", "reason", "detail"}


class Prompt(models.Model):
    """One or more messages that a completion is wanted for. Its text never changes, but that words in it may be
    redacted; then `labeling.governance` keeps the original, and `messages` is what everybody else sees."""

    class State(models.TextChoices):
        ACCEPTED = "accepted"
        HELD = "held"  # personal data was found: waits for a person
        DROPPED = "dropped"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="prompts")
    source_user = models.ForeignKey(SourceUser, on_delete=models.PROTECT, related_name="prompts")
    # Empty where the source gave none.
    external_id = models.CharField(max_length=200, blank=True)
    messages = models.JSONField()
    # SHA-256 of the canonical JSON of the messages as they came in: exact duplicates collide here.
    text_sha256 = models.CharField(max_length=64, unique=True)
    use_case = models.CharField(max_length=20, choices=UseCase, blank=True)
    consent = models.CharField(max_length=100, blank=True)  # version of the terms agreed to
    # What of `Sensitive` it is about: shown veiled, and not to labelers who opted out.
    categories = ArrayField(models.CharField(max_length=20), default=list, db_default=[], blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.ACCEPTED)
    imported_in = models.ForeignKey(Import, null=True, on_delete=models.PROTECT, related_name="prompts")
    # The personal-data filter that it last went through; none before the first. Named: it stands above this feature.
    gate = models.ForeignKey("Gate", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=~models.Q(external_id=""),
                name="prompt_once_per_external_id",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["accepted", "held", "dropped"]), name="prompt_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(categories__contained_by=list(Sensitive.values)), name="prompt_categories_are_known"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at", "id"]),
            models.Index(fields=["-created_at", "-id"]),
            # What an older filter let pass or held, to be scanned again.
            models.Index(fields=["gate", "id"], name="prompt_by_gate"),
        ]
        triggers = [
            pgtrigger.ReadOnly(name="prompt_text_is_read_only", fields=["text_sha256", "source_user", "source"]),
            pgtrigger.Trigger(
                # Its turns stay, and what they said is kept.
                name="prompt_text_changes_by_redaction_alone",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("messages"),
                condition=pgtrigger.AnyChange("messages"),
                func="""
                    IF (
                        SELECT jsonb_path_query_array(kept.messages, '$[*].role') FROM labeling_original kept
                        WHERE kept.prompt_id = NEW.id
                    ) IS DISTINCT FROM jsonb_path_query_array(NEW.messages, '$[*].role') THEN
                        RAISE EXCEPTION 'The text of prompt % changes, and its original is not kept', NEW.id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    @property
    def shown(self) -> list[dict[str, str]]:
        """The messages for whoever works with the prompt; their words only while it is accepted."""
        if self.state == self.State.ACCEPTED:
            return self.messages
        words = gettext("[held for a look]") if self.state == self.State.HELD else gettext("[dropped]")
        return [{"role": message["role"], "content": words} for message in self.messages]

    @property
    def last_message(self) -> str:
        return self.shown[-1]["content"]
