"""Prompts as they came in, and whose they are."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.background.models import Job
from labeling.people.models import Sensitive

# An import without a job that said nothing for so long was killed.
QUIET = timedelta(minutes=2)
# InstructGPT's: at most 200 prompts of one user.
DEFAULT_CAP = 200
# What stands where a text was that was erased.
ERASED = "[erased]"


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
    """Where prompts come from: an API, a file of seeds, a team's own labelers; and what holds for them.

    Made by whoever sends the first prompt of a new name, or by an admin beforehand.
    """

    name = models.CharField(max_length=100, unique=True)
    # The terms that its users agree to at present; where there are any, no prompt goes in without consent.
    terms_version = models.CharField(max_length=100, blank=True, db_default="")
    # Prompts a minute that programs with its keys may send on average.
    rate_per_minute = models.PositiveIntegerField(default=600, db_default=600)
    prompts_per_user = models.PositiveIntegerField(default=DEFAULT_CAP, db_default=DEFAULT_CAP)
    # How its users are shared out, in percent.
    train_percent = models.DecimalField(max_digits=5, decimal_places=2, default=80, db_default=80)
    valid_percent = models.DecimalField(max_digits=5, decimal_places=2, default=10, db_default=10)
    test_percent = models.DecimalField(max_digits=5, decimal_places=2, default=10, db_default=10)
    # Of the project's salt, by which its users were shared out; empty while it has none.
    salt_sha256 = models.CharField(max_length=64, blank=True, db_default="")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    train_percent__gte=0,
                    valid_percent__gte=0,
                    test_percent__gte=0,
                    train_percent=100 - models.F("valid_percent") - models.F("test_percent"),
                ),
                name="source_shares_add_up_to_100",
            ),
            models.CheckConstraint(
                condition=models.Q(prompts_per_user__gte=1, prompts_per_user__lte=1_000_000),
                name="source_cap_is_at_least_1",
            ),
            models.CheckConstraint(
                condition=models.Q(rate_per_minute__gte=1, rate_per_minute__lte=1_000_000),
                name="source_rate_is_at_least_1",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                # A user's split follows from these: were they changed, one who comes again would come into another.
                name="source_splits_stay_once_it_has_users",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("name", "train_percent", "valid_percent", "test_percent", "salt_sha256"),
                func="""
                    IF ((NEW.name, NEW.train_percent, NEW.valid_percent, NEW.test_percent)
                        IS DISTINCT FROM (OLD.name, OLD.train_percent, OLD.valid_percent, OLD.test_percent)
                        OR OLD.salt_sha256 NOT IN ('', NEW.salt_sha256))
                        AND EXISTS (SELECT 1 FROM labeling_sourceuser WHERE source_id = OLD.id)
                    THEN
                        RAISE EXCEPTION 'Source % has users already; what their splits follow from stays', OLD.name
                            USING ERRCODE = 'check_violation', CONSTRAINT = 'source_splits_stay_once_it_has_users';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    @property
    def shares(self) -> dict[str, Decimal]:
        """Split → the share of users that it gets, in percent."""
        return {
            Split.TRAIN.value: self.train_percent,
            Split.VALID.value: self.valid_percent,
            Split.TEST.value: self.test_percent,
        }


class SourceKey(models.Model):
    """With it a program sends prompts of one source. Shown once; only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(max_length=80)
    key_sha256 = models.CharField(max_length=64, unique=True)
    ending = models.CharField(max_length=4)  # of the key, to tell it by
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        triggers = [pgtrigger.ReadOnly(name="source_key_opens_one_source", fields=["source", "key_sha256"])]


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
        ]
        triggers = [
            pgtrigger.Trigger(
                # One that was lowered takes nothing away from whoever has more.
                name="source_user_within_prompt_cap",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("prompt_count"),
                func="""
                    IF (TG_OP = 'INSERT' OR NEW.prompt_count > OLD.prompt_count) AND NEW.prompt_count > (
                        SELECT prompts_per_user FROM labeling_source WHERE id = NEW.source_id
                    ) THEN
                        RAISE EXCEPTION 'Source user % would have % prompts, more than their source allows',
                            NEW.id, NEW.prompt_count
                            USING ERRCODE = 'check_violation', CONSTRAINT = 'source_user_within_prompt_cap';
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.ReadOnly(name="source_user_stays_in_its_source", fields=["source"]),
            pgtrigger.Protect(
                name="source_user_never_changes_split",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__split__df=pgtrigger.F("new__split")),
            ),
        ]


class RefusedPerson(models.Model):
    """Somebody whose data were erased and of whom nothing more is taken in: known by a keyed hash of their source and
    its id of them (`intake.services.person_key`), and by nothing else."""

    key = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(key__regex=r"^[0-9a-f]{64}$"), name="refused_person_is_a_hash"),
        ]


class Import(models.Model):
    """One file, or one request, of prompts that someone brought in, with what became of its lines.

    Each of its transactions stores the prompts of some lines, counts them and moves `line` on: whoever goes on after a
    kill, or works on the same file beside, begins behind `line`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    # The source of lines that name none.
    source = models.CharField(max_length=100, blank=True)
    # SHA-256 of a file; empty for what came in no file.
    file_sha256 = models.CharField(max_length=64, blank=True)
    # What the file is called among the kept uploads, while it is kept.
    file = models.CharField(max_length=64, blank=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    # What programs sent with keys of this source, on this day (UTC).
    sent_to = models.ForeignKey("Source", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    day = models.DateField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    # Somebody ended it before its last line.
    given_up = models.BooleanField(default=False, db_default=False)
    line = models.PositiveBigIntegerField(default=0, db_default=0)  # all up to this one are done
    lines = models.PositiveBigIntegerField(default=0, db_default=0)  # about how many there are; 0 where nobody counted
    accepted = models.PositiveIntegerField(default=0)
    rejected = models.JSONField(default=dict)  # reason → count

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["file_sha256", "source"],
                condition=models.Q(finished_at__isnull=True) & ~models.Q(file_sha256=""),
                name="import_one_unfinished_per_file",
            ),
            models.UniqueConstraint(fields=["sent_to", "day"], name="import_one_per_source_and_day"),
            models.CheckConstraint(
                condition=models.Q(sent_to__isnull=True, day__isnull=True)
                | models.Q(sent_to__isnull=False, day__isnull=False),
                name="import_of_a_day_names_its_source",
            ),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="import_newest_first")]

    @property
    def state(self) -> str:
        """ "done", "given_up", "queued", "running", "stopped", which is what was killed or cancelled on its way, or, of
        what programs send today, "open"."""
        if self.day is not None:
            return "open" if self.day == timezone.now().date() else "done"
        if self.finished_at is not None:
            return "given_up" if self.given_up else "done"
        if self.job is not None:
            return self.job.state if self.job.state in Job.OPEN else "stopped"
        return "running" if timezone.now() - self.updated_at < QUIET else "stopped"


class ImportProblem(models.Model):
    """A line of an import that did not go in, or that waits: the first of each reason, as many as are kept."""

    imported = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="problems", db_index=False)
    line = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=40)
    detail = models.TextField()
    # The prompt that it is, or that it repeats.
    prompt = models.ForeignKey("Prompt", null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        indexes = [
            models.Index(fields=["imported", "line", "id"], name="import_problem_by_line"),
            models.Index(fields=["imported", "reason", "line", "id"], name="import_problem_by_reason"),
        ]


class PromptWords(models.Func):
    """The words of a prompt's messages for full-text search, in no language's grammar: prompts come in many. What is
    longer than PostgreSQL's tsvector is sure to hold has none."""

    output_field = SearchVectorField()
    template = (
        "(CASE WHEN octet_length(%(expressions)s::text) <= 250000 THEN jsonb_to_tsvector('simple'::regconfig, "
        "jsonb_path_query_array(%(expressions)s, '$[*].content'::jsonpath), '\"string\"'::jsonb) END)"
    )

    def __init__(self, messages: str = "messages", **extra):
        super().__init__(messages, **extra)


class Prompt(models.Model):
    """One or more messages that a completion is wanted for. Its text never changes, but that words in it may be
    redacted; then `labeling.governance` keeps the original, and `messages` is what everybody else sees."""

    class State(models.TextChoices):
        ACCEPTED = "accepted"
        HELD = "held"  # personal data was found: waits for a person
        DROPPED = "dropped"
        ERASED = "erased"  # for good: its texts are gone

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
    consented_at = models.DateTimeField(null=True)
    written_at = models.DateTimeField(null=True)  # as the source says
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
                condition=models.Q(state__in=["accepted", "held", "dropped", "erased"]), name="prompt_state_is_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="erased")
                | models.Q(external_id="", categories=[])
                & ~models.Func(
                    "messages",
                    models.Value(f'$[*].content ? (@ != "{ERASED}")'),
                    function="jsonb_path_exists",
                    template="%(function)s(%(expressions)s::jsonpath)",
                    output_field=models.BooleanField(),
                ),
                name="prompt_erased_says_nothing",
            ),
            models.CheckConstraint(
                condition=models.Q(categories__contained_by=list(Sensitive.values)), name="prompt_categories_are_known"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "created_at", "id"]),
            models.Index(fields=["-created_at", "-id"]),
            # Whose time may be over, oldest first.
            models.Index(
                fields=["source", "created_at", "id"],
                condition=~models.Q(state="erased"),
                name="prompt_of_source_by_age",
            ),
            # What an older filter let pass or held, to be scanned again.
            models.Index(fields=["gate", "id"], name="prompt_by_gate"),
            GinIndex(PromptWords(), name="prompt_by_words"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="prompt_erased_stays_erased",
                operation=pgtrigger.Update,
                # That a newer filter went over it is no harm.
                condition=pgtrigger.Condition(
                    "OLD.state = 'erased' AND (OLD.state, OLD.messages, OLD.text_sha256, OLD.external_id) "
                    "IS DISTINCT FROM (NEW.state, NEW.messages, NEW.text_sha256, NEW.external_id)"
                ),
            ),
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
        words = {
            self.State.HELD: gettext("[held for a look]"),
            self.State.DROPPED: gettext("[dropped]"),
            self.State.ERASED: gettext("[erased]"),
        }[self.state]
        return [{"role": message["role"], "content": words} for message in self.messages]

    @property
    def last_message(self) -> str:
        return self.shown[-1]["content"]
