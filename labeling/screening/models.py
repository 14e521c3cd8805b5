"""Screening: rounds of items that applicants are tried with, grades of what they write, decisions, and who can judge
what. The four gates are those of Ouyang et al. 2022, appendix B.1."""

import uuid

import pgtrigger
from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.demos.models import Demonstration
from labeling.intake.models import Prompt
from labeling.leasing.models import Task
from labeling.people.models import Invitation
from labeling.sampling.models import Batch, BatchItem


class Gate(models.IntegerChoices):
    """What applicants are given tasks for, in the order in which they come. The fourth gate is said, not done."""

    FLAGS = 1, _("Sensitive content")
    RANKINGS = 2, _("Rankings")
    DEMONSTRATIONS = 3, _("Answers to sensitive prompts")


class ScreeningRound(models.Model):
    """Items that every applicant of the round is given, and the cut-offs that mark results. Cut-offs decide nothing."""

    class State(models.TextChoices):
        DRAFT = "draft"
        OPEN = "open"
        CLOSED = "closed"

    name = models.CharField(max_length=80, unique=True)
    state = models.CharField(max_length=6, choices=State, default=State.DRAFT)
    # Shares of agreement with researchers, and a mean grade.
    flags_cutoff = models.FloatField(default=0.75)
    rankings_cutoff = models.FloatField(default=0.75)
    grade_cutoff = models.FloatField(default=6.0)
    # How many researchers answer each item, and how many grade each demonstration.
    researchers = models.PositiveSmallIntegerField(default=2)
    graders = models.PositiveSmallIntegerField(default=2)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~models.Q(name=""), name="screening_round_has_a_name"),
            models.CheckConstraint(
                condition=models.Q(state__in=["draft", "open", "closed"]), name="screening_round_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(
                    flags_cutoff__gte=0, flags_cutoff__lte=1, rankings_cutoff__gte=0, rankings_cutoff__lte=1
                ),
                name="screening_cutoffs_are_shares",
            ),
            models.CheckConstraint(
                condition=models.Q(grade_cutoff__gte=1, grade_cutoff__lte=7), name="screening_grade_cutoff_is_1_to_7"
            ),
            models.CheckConstraint(
                condition=models.Q(researchers__gte=1, researchers__lte=5), name="screening_researchers_are_1_to_5"
            ),
            models.CheckConstraint(
                condition=models.Q(graders__gte=2, graders__lte=5), name="screening_graders_are_2_to_5"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="screening_round_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="screening_round_is_never_a_draft_again",
                operation=pgtrigger.Update,
                condition=~pgtrigger.Q(old__state="draft") & pgtrigger.Q(new__state="draft"),
            ),
            pgtrigger.Trigger(
                # Grades that were given blindly stay so: nobody is asked for one more after the mean was shown.
                name="screening_round_keeps_its_graders",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("graders", "researchers"),
                func="""
                    IF OLD.state <> 'draft' THEN
                        RAISE check_violation USING MESSAGE = 'an open round keeps how many answer and grade',
                            CONSTRAINT = 'screening_round_keeps_its_graders';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ScreeningItem(models.Model):
    """One thing that every applicant of a round does. Opening the round makes its task."""

    round = models.ForeignKey(ScreeningRound, on_delete=models.PROTECT, related_name="items", db_index=False)
    gate = models.PositiveSmallIntegerField(choices=Gate)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="screening_items")
    # Where its completions are copied from; none where an answer is to be written.
    source = models.ForeignKey(BatchItem, null=True, on_delete=models.PROTECT, related_name="+")
    task = models.OneToOneField(Task, null=True, on_delete=models.PROTECT, related_name="screening_item")
    # Why the researchers answer as they do: applicants read it once they are decided on.
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "gate", "prompt"], name="screening_item_once_per_gate"),
            models.CheckConstraint(
                condition=models.Q(gate__in=[1, 2], source__isnull=False) | models.Q(gate=3, source__isnull=True),
                name="screening_item_has_completions_or_wants_one",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="screening_items_are_chosen_in_a_draft",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Delete,
                # Locked: the round opens before this, or sees it.
                func="""
                    PERFORM FROM labeling_screeninground round
                        WHERE round.id = CASE TG_OP WHEN 'DELETE' THEN OLD.round_id ELSE NEW.round_id END
                            AND round.state = 'draft' FOR SHARE;
                    IF NOT FOUND THEN
                        RAISE check_violation USING MESSAGE = 'every applicant of a round has the same items',
                            CONSTRAINT = 'screening_items_are_chosen_in_a_draft';
                    END IF;
                    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
                """,
            ),
            pgtrigger.Protect(
                name="screening_item_stays_what_it_is",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("round", "gate", "prompt", "source"),
            ),
            pgtrigger.Protect(
                name="screening_item_keeps_its_task",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition("OLD.task_id IS NOT NULL AND OLD.task_id IS DISTINCT FROM NEW.task_id"),
            ),
        ]


class ScreeningBatch(models.Model):
    """The batch that holds the tasks of one gate of a round."""

    round = models.ForeignKey(ScreeningRound, on_delete=models.PROTECT, related_name="batches", db_index=False)
    gate = models.PositiveSmallIntegerField(choices=Gate)
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, related_name="screening_batch")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["round", "gate"], name="screening_batch_once_per_gate")]


class Application(models.Model):
    """One applicant's way through a round: from the link that invites them. The name of who came stays with the
    account; reports and decisions know the code alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    round = models.ForeignKey(ScreeningRound, on_delete=models.PROTECT, related_name="applications", db_index=False)
    invitation = models.OneToOneField(Invitation, on_delete=models.PROTECT, related_name="application")
    # "7F3K": drawn at random, so it says nothing of who or when.
    code = models.CharField(max_length=4, unique=True)
    # The decision that holds, as the trigger of decisions writes it; empty before there is one.
    outcome = models.CharField(max_length=8, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[2-9A-HJ-NP-Z]{4}$"), name="application_has_a_code"
            ),
        ]
        indexes = [models.Index(fields=["round", "code"], name="application_of_round")]
        triggers = [
            pgtrigger.Protect(name="application_is_never_deleted", operation=pgtrigger.Delete),
            pgtrigger.Protect(
                name="application_stays_whose_it_is",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("round", "invitation", "code"),
            ),
        ]

    @property
    def name(self) -> str:
        return str(_("Applicant {code}")).format(code=self.code)


class Grade(models.Model):
    """What a researcher thought of one demonstration of an applicant, without knowing whose it is or what others
    thought. Append-only."""

    demonstration = models.ForeignKey(Demonstration, on_delete=models.PROTECT, related_name="grades", db_index=False)
    grader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # The first, second … of this demonstration.
    number = models.PositiveSmallIntegerField()
    grade = models.PositiveSmallIntegerField()
    # For the applicant and the team; says nothing of who wrote it.
    note = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["demonstration", "grader"], name="grade_once_per_demonstration_and_grader"),
            models.UniqueConstraint(fields=["demonstration", "number"], name="grade_number_once_per_demonstration"),
            models.CheckConstraint(condition=models.Q(grade__gte=1, grade__lte=7), name="grade_is_1_to_7"),
            models.CheckConstraint(condition=models.Q(number__gte=1, number__lte=5), name="grade_number_is_1_to_5"),
        ]
        triggers = [
            pgtrigger.Protect(name="grade_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="grade_is_of_an_applicant_by_somebody_else",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NOT EXISTS (
                        SELECT FROM labeling_demonstration given
                        JOIN labeling_screeningitem item ON item.task_id = given.task_id
                        JOIN labeling_screeninground round ON round.id = item.round_id
                        WHERE given.id = NEW.demonstration_id AND given."group" = 'applicant'
                            AND given.labeler_id <> NEW.grader_id AND NEW.number <= round.graders
                    ) THEN
                        RAISE check_violation USING MESSAGE = 'researchers grade what applicants wrote, as often as '
                            'the round says', CONSTRAINT = 'grade_is_of_an_applicant_by_somebody_else';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class ScreeningDecision(models.Model):
    """What became of an application, and why. Another decision names the one that it revises. Append-only."""

    class Outcome(models.TextChoices):
        TRAINING = "training", _("Hire: their answers train models")
        HELD_OUT = "held_out", _("Hire as held-out: their answers only ever measure models")
        REJECT = "reject", _("Turn down")
        PUT_OFF = "put_off", _("Put off")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    application = models.ForeignKey(Application, on_delete=models.PROTECT, related_name="decisions", db_index=False)
    outcome = models.CharField(max_length=8, choices=Outcome)
    # For the team.
    reason = models.CharField(max_length=300)
    # For the applicant; may be empty.
    message = models.CharField(max_length=1000, blank=True)
    revises = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="revised_by")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=["training", "held_out", "reject", "put_off"]),
                name="screening_outcome_is_known",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="screening_decision_says_why"),
            models.UniqueConstraint(
                fields=["application"],
                condition=models.Q(revises__isnull=True),
                name="screening_decided_once_without_revising",
            ),
        ]
        indexes = [models.Index(fields=["application", "decided_at"], name="decision_of_application")]
        triggers = [
            pgtrigger.Protect(name="screening_decision_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="screening_decision_holds",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NEW.revises_id IS NOT NULL AND NOT EXISTS (
                        SELECT FROM labeling_screeningdecision earlier
                        WHERE earlier.id = NEW.revises_id AND earlier.application_id = NEW.application_id
                    ) THEN
                        RAISE check_violation USING MESSAGE = 'a decision revises one about the same applicant',
                            CONSTRAINT = 'screening_decision_holds';
                    END IF;
                    UPDATE labeling_application SET outcome = NEW.outcome WHERE id = NEW.application_id;
                    RETURN NEW;
                """,
            ),
        ]


class Topic(models.Model):
    """A topic or a group of people about which somebody may or may not be able to tell what is sensitive."""

    name = models.CharField(max_length=80, unique=True)
    active = models.BooleanField(default=True, db_default=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=~models.Q(name=""), name="topic_has_a_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def shown(self) -> str:
        """In the reader's language where it came with the installation, else as it was written."""
        return gettext(self.name)


class TopicAnswer(models.Model):
    """Somebody's own word on whether they can judge a topic. Theirs to change."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="topics")
    topic = models.ForeignKey(Topic, on_delete=models.PROTECT, related_name="answers", db_index=False)
    able = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["topic", "person"], name="topic_answer_once_per_person")]
