"""What people write: the ideal answer to a prompt, a dialogue that goes on from it, and prompts. Append-only.

And what models suggested meanwhile, asked for by who wrote it, and what became of that.
"""

import re
import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.db.models.lookups import LessThan
from django.utils.translation import gettext_lazy as _

from labeling.demos.layout import parts_of
from labeling.intake.models import Prompt, UseCase
from labeling.leasing.models import Lease, Task
from labeling.sampling.models import BriefForm, Endpoint

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
            models.Index(
                fields=["labeler", "-created_at"], condition=models.Q(revision__gt=1), name="demonstration_corrections"
            ),
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


class Suggestion(models.Model):
    """One message that a model wrote for a labeler to begin from. A job writes it, and the page asks how far it is.

    Labelers read its number, turn, state, text and failure; who wrote it, and how, is for staff.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        WRITING = "writing"
        DONE = "done"
        STOPPED = "stopped"
        FAILED = "failed"

    class Failure(models.TextChoices):
        UNAVAILABLE = "unavailable"  # the server did not answer, or broke off
        REFUSED = "refused"  # the server said no, and would again
        NAMED = "named"  # it said who wrote it
        EMPTY = "empty"
        LOST = "lost"  # its worker was

    UNFINISHED = (State.WAITING, State.WRITING)
    # For one task: what a labeler needs to see what is possible, and not to choose among dozens.
    MOST = 10

    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="suggestions", db_index=False)
    number = models.PositiveSmallIntegerField()
    # Which message of the conversation it is: how many stand before it, those of the prompt among them.
    turn = models.PositiveSmallIntegerField()
    messages = models.JSONField()
    endpoint = models.ForeignKey(Endpoint, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=200)
    seed = models.BigIntegerField()
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # So far, without what may yet turn out to name a model; frozen once it ended.
    text = models.TextField(blank=True)
    failure = models.CharField(max_length=12, choices=Failure, blank=True)
    error = models.CharField(max_length=500, blank=True)  # the server's words, for staff
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lease", "number"], name="suggestion_number_once_per_lease"),
            models.UniqueConstraint(
                fields=["lease"],
                condition=models.Q(state__in=["waiting", "writing"]),
                name="suggestion_one_unfinished_per_lease",
            ),
            models.CheckConstraint(
                condition=models.Q(number__gte=1, number__lte=10), name="suggestion_number_is_1_to_10"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "writing", "done", "stopped", "failed"]),
                name="suggestion_state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "writing"], ended_at__isnull=True)
                | ~models.Q(state__in=["waiting", "writing"]) & models.Q(ended_at__isnull=False),
                name="suggestion_ended_at_some_time",
            ),
            models.CheckConstraint(
                condition=models.Q(state="failed") & ~models.Q(failure="")
                | ~models.Q(state="failed") & models.Q(failure=""),
                name="suggestion_failed_for_a_reason",
            ),
            models.CheckConstraint(
                condition=~models.Q(state="done") | ~models.Q(text=""), name="suggestion_done_says_something"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="suggestion_is_frozen_once_ended",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__state__in=["waiting", "writing"]),
            ),
            pgtrigger.Protect(name="suggestion_is_never_deleted", operation=pgtrigger.Delete),
        ]


class DemonstrationSuggestion(models.Model):
    """A suggestion that went into a demonstration, and what its writer made of it: the edit from the suggestion's text
    to the message at its turn. Append-only."""

    demonstration = models.ForeignKey(
        Demonstration, on_delete=models.PROTECT, related_name="suggestions_used", db_index=False
    )
    suggestion = models.ForeignKey(Suggestion, on_delete=models.PROTECT, related_name="uses")
    similarity = models.FloatField()
    kept = models.FloatField()
    # [["keep" | "cut" | "add", pieces], …] from the suggestion to what was written: see `edits`.
    operations = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["demonstration", "suggestion"], name="suggestion_once_per_demonstration"),
            models.CheckConstraint(
                condition=models.Q(similarity__gte=0, similarity__lte=1, kept__gte=0, kept__lte=1),
                name="suggestion_use_is_a_share",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="suggestion_use_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class WrittenPrompt(models.Model):
    """One acknowledged prompt. A correction is another row that names the one it replaces.

    `content` is {"text"}, or of a few-shot prompt {"instruction", "pairs": [{"query", "response"}], "query"}.
    """

    class Origin(models.TextChoices):
        WORKBENCH = "workbench"
        SIMULATED = "simulated"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="written_prompts")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="written_prompts")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="written_prompts")
    group = models.CharField(max_length=12)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.WORKBENCH)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    idempotency_key = models.CharField(max_length=100)
    payload_sha256 = models.CharField(max_length=64)
    # Why it corrects the prompt that it replaces.
    correction_reason = models.CharField(max_length=300, blank=True)
    surplus = models.BooleanField(default=False)
    form = models.CharField(max_length=10, choices=BriefForm)
    content = models.JSONField()
    use_case = models.CharField(max_length=20, choices=UseCase)
    # Characters of it that were pasted or dropped in, as the browser counted them.
    pasted = models.IntegerField(default=0)
    active_seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lease", "revision"], name="written_prompt_one_per_lease_and_revision"),
            models.UniqueConstraint(
                fields=["lease", "idempotency_key"], name="written_prompt_once_per_idempotency_key"
            ),
            models.CheckConstraint(
                condition=models.Q(revision=1, replaces__isnull=True)
                | models.Q(revision__gt=1, replaces__isnull=False),
                name="written_prompt_revision_names_what_it_replaces",
            ),
            models.CheckConstraint(
                condition=models.Q(origin="simulated", group="simulated")
                | (~models.Q(origin="simulated") & ~models.Q(group="simulated")),
                name="written_prompt_simulated_is_marked",
            ),
            models.CheckConstraint(
                condition=models.Q(use_case__in=UseCase.values), name="written_prompt_use_case_is_known"
            ),
            models.CheckConstraint(condition=models.Q(pasted__gte=0), name="written_prompt_pasted_is_a_count"),
            models.CheckConstraint(
                condition=(
                    models.Q(form__in=["plain", "user_based"], content__text__isnull=False)
                    & ~models.Q(content__text="")
                )
                | (
                    models.Q(form="few_shot", content__instruction__isnull=False, content__query__isnull=False)
                    # From 2 to 20.
                    & models.Q(content__pairs__1__isnull=False, content__pairs__20__isnull=True)
                    & ~models.Q(content__instruction="")
                    & ~models.Q(content__query="")
                ),
                name="written_prompt_has_the_parts_of_its_form",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"]),
            models.Index(
                fields=["labeler", "-created_at"],
                condition=models.Q(revision__gt=1),
                name="written_prompt_corrections",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="written_prompt_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]

    # For a review, in the shape of a demonstration's.

    @property
    def conversation(self) -> list[dict]:
        """All that the labeler wrote, part by part: see `layout.parts_of`."""
        return parts_of(self.form, self.content)

    @property
    def turns(self) -> list[dict]:
        """The parts before the last; none unless it is a few-shot prompt."""
        return self.conversation[:-1]

    @property
    def text(self) -> str:
        """The last part."""
        return self.conversation[-1]["content"]


class Admission(models.Model):
    """What the gate said of a written prompt: it is in the pool as `prompt`, or it is not, for a reason.

    Where prompts are reviewed, each `review` that counts of one gets its own, and what holds is the latest.
    """

    class Reason(models.TextChoices):
        CORRECTED = "corrected", _("its writer has corrected it")
        SENT_BACK = "sent_back", _("its reviewer sent it back")
        HELD_OUT = "held_out", _("its writer or reviewer is held out of training")
        SIMULATED = "simulated", _("a program wrote or reviewed it")
        DUPLICATE = "duplicate", _("the same text is there already")
        USER_CAP = "user_cap", _("its writer has as many prompts as one person may")
        OTHER = "other", _("it is no prompt that can be used")

    written = models.ForeignKey(WrittenPrompt, on_delete=models.PROTECT, related_name="admissions", db_index=False)
    # Of a feature above, hence by name.
    review = models.ForeignKey("labeling.Review", null=True, on_delete=models.PROTECT, related_name="admissions")
    # A correction that leaves the text as it was keeps the prompt.
    prompt = models.ForeignKey(Prompt, null=True, on_delete=models.PROTECT, related_name="admissions")
    reason = models.CharField(max_length=10, choices=Reason, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["written", "review"], nulls_distinct=False, name="admission_once_per_written_and_review"
            ),
            models.CheckConstraint(
                condition=models.Q(prompt__isnull=False, reason="")
                | models.Q(
                    prompt__isnull=True,
                    reason__in=["corrected", "held_out", "simulated", "duplicate", "user_cap", "other"],
                )
                | models.Q(prompt__isnull=True, reason="sent_back", review__isnull=False),
                name="admission_has_a_prompt_or_a_reason",
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="admission_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="admission_follows_a_review_where_there_are_any",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("reviewed", "boolean"), ("said", "text")],
                func="""
                    SELECT batch.review INTO reviewed FROM labeling_writtenprompt AS written
                        JOIN labeling_task AS task ON task.id = written.task_id
                        JOIN labeling_batch AS batch ON batch.id = task.batch_id
                        WHERE written.id = NEW.written_id;
                    SELECT verdict INTO said FROM labeling_review
                        WHERE id = NEW.review_id AND written_prompt_id = NEW.written_id AND NOT surplus;
                    IF NEW.review_id IS NOT NULL AND said IS NULL
                        OR NEW.prompt_id IS NOT NULL AND (said = 'send_back' OR reviewed AND said IS NULL)
                    THEN
                        RAISE EXCEPTION 'The gate follows the review of prompt %: %', NEW.written_id, said;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]
