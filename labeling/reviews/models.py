"""Reviews: what a second labeler says of what another wrote. Append-only."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from labeling.demos.models import Demonstration, WrittenPrompt
from labeling.leasing.models import Lease, Task


class Review(models.Model):
    """One acknowledged answer. A correction is another row that names the one it replaces.

    It is of a demonstration, a dialogue or a written prompt. Of the reviews of one of these that one counts which is no
    surplus, in its latest revision.
    """

    class Origin(models.TextChoices):
        WORKBENCH = "workbench"
        SIMULATED = "simulated"

    class Verdict(models.TextChoices):
        ACCEPT = "accept"
        EDIT = "edit"
        SEND_BACK = "send_back"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    lease = models.ForeignKey(Lease, on_delete=models.PROTECT, related_name="reviews")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="reviews")
    labeler = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="reviews")
    group = models.CharField(max_length=12)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.WORKBENCH)
    revision = models.PositiveSmallIntegerField(default=1)
    replaces = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="replaced_by")
    idempotency_key = models.CharField(max_length=100)
    payload_sha256 = models.CharField(max_length=64)
    # Why it corrects the review that it replaces.
    correction_reason = models.CharField(max_length=300, blank=True)
    surplus = models.BooleanField(default=False)
    demonstration = models.ForeignKey(Demonstration, null=True, on_delete=models.PROTECT, related_name="reviews")
    written_prompt = models.ForeignKey(WrittenPrompt, null=True, on_delete=models.PROTECT, related_name="reviews")
    verdict = models.CharField(max_length=9, choices=Verdict)
    # As the reviewer would have it, in the shape of the demonstration, or the parts of the prompt; of an edit alone.
    turns = models.JSONField(default=list, db_default=[])
    text = models.TextField(blank=True)
    # Characters of the edit that were pasted or dropped in, as the browser counted them.
    pasted = models.IntegerField(default=0, db_default=0)
    # To the author. Where the answer is sent back, what to change.
    note = models.CharField(max_length=1000, blank=True)
    active_seconds = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lease", "revision"], name="review_one_per_lease_and_revision"),
            models.UniqueConstraint(fields=["lease", "idempotency_key"], name="review_once_per_idempotency_key"),
            models.CheckConstraint(
                condition=models.Q(revision=1, replaces__isnull=True)
                | models.Q(revision__gt=1, replaces__isnull=False),
                name="review_revision_names_what_it_replaces",
            ),
            models.CheckConstraint(
                condition=models.Q(demonstration__isnull=False, written_prompt__isnull=True)
                | models.Q(demonstration__isnull=True, written_prompt__isnull=False),
                name="review_is_of_one_answer",
            ),
            models.CheckConstraint(
                condition=models.Q(verdict__in=["accept", "edit", "send_back"]), name="review_verdict_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict="edit") & ~models.Q(text="")
                | ~models.Q(verdict="edit") & models.Q(text="", turns=[]),
                name="review_has_a_text_where_it_edits",
            ),
            models.CheckConstraint(
                condition=~models.Q(verdict="send_back") | ~models.Q(note=""), name="review_sends_back_with_a_note"
            ),
            models.CheckConstraint(
                condition=models.Q(verdict="edit", pasted__gte=0) | models.Q(pasted=0),
                name="review_pasted_is_a_count_of_an_edit",
            ),
            models.CheckConstraint(
                condition=models.Q(origin="simulated", group="simulated")
                | (~models.Q(origin="simulated") & ~models.Q(group="simulated")),
                name="review_simulated_is_marked",
            ),
        ]
        indexes = [
            models.Index(
                fields=["labeler", "-created_at"], condition=models.Q(revision__gt=1), name="review_corrections"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="review_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="review_is_of_another_ones_work",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("author", "bigint"), ("old_turns", "jsonb"), ("old_text", "text"), ("prompt", "jsonb")],
                func="""
                    IF NEW.demonstration_id IS NOT NULL THEN
                        SELECT answer.labeler_id, answer.turns, answer.text INTO author, old_turns, old_text
                            FROM labeling_demonstration AS answer WHERE answer.id = NEW.demonstration_id;
                    ELSE
                        -- Its parts, as `layout.parts_of` has them.
                        SELECT written.labeler_id, written.content INTO author, prompt
                            FROM labeling_writtenprompt AS written WHERE written.id = NEW.written_prompt_id;
                        old_turns := '[]';
                        old_text := coalesce(prompt ->> 'text', prompt ->> 'query');
                        IF prompt ? 'pairs' THEN
                            SELECT jsonb_build_object('role', 'instruction', 'content', prompt -> 'instruction')
                                || jsonb_agg(jsonb_build_object('role', role, 'content', pair -> role)
                                    ORDER BY number, role) INTO old_turns
                                FROM jsonb_array_elements(prompt -> 'pairs') WITH ORDINALITY AS pairs (pair, number),
                                    unnest(ARRAY['query', 'response']) AS role;
                        END IF;
                    END IF;
                    IF author = NEW.labeler_id THEN
                        RAISE EXCEPTION 'Nobody reviews their own work: labeler %', NEW.labeler_id;
                    END IF;
                    IF old_text = NEW.text AND old_turns = NEW.turns THEN
                        RAISE EXCEPTION 'An edit changes something: lease %', NEW.lease_id;
                    END IF;
                    IF NEW.verdict = 'edit' AND jsonb_path_query_array(old_turns, '$[*].role')
                        <> jsonb_path_query_array(NEW.turns, '$[*].role')
                    THEN
                        RAISE EXCEPTION 'An edit keeps the number of turns, and whose they are: lease %', NEW.lease_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    @property
    def written(self) -> Demonstration | WrittenPrompt:
        """What it is of."""
        return self.demonstration if self.demonstration_id else self.written_prompt

    @property
    def conversation(self) -> list[dict]:
        """All of the edited answer, turn by turn."""
        last = "assistant" if self.demonstration_id else "query" if self.turns else "prompt"
        return [*self.turns, {"role": last, "content": self.text}]

    @property
    def pasted_share(self) -> float:
        """Of the characters of the edited answer, how many the reviewer pasted or dropped in, 0 to 1."""
        return self.pasted / max(1, sum(len(turn["content"]) for turn in self.conversation))

    @property
    def edits(self) -> list[tuple[str, str, str]]:
        """Of an edit (role, before, after) of each turn or part; one of an answer that has but one."""
        turns = zip(self.written.conversation, self.conversation, strict=True)
        return [(before["role"], before["content"], after["content"]) for before, after in turns]
