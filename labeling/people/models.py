"""Accounts, roles, groups, invitations, API tokens, breaks, and the figures a team sets for itself."""

import json
import uuid

import pgtrigger
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Sensitive(models.TextChoices):
    """What a prompt may be about that not everyone wants to read. A labeler may opt out of each."""

    SEXUAL = "sexual", _("Sexual content")
    VIOLENCE = "violence", _("Violence")
    SELF_HARM = "self_harm", _("Self-harm and suicide")
    HATE = "hate", _("Hate and slurs")
    MEDICAL = "medical", _("Illness and medicine")
    POLITICS = "politics", _("Politics and religion")
    OTHER = "other_sensitive", _("Other sensitive content")


class User(AbstractUser):
    """A person who signs in. What they may do follows from `role`, where their answers may go from `group`."""

    class Role(models.TextChoices):
        LABELER = "labeler", _("Labeler")
        ADMIN = "admin", _("Admin")
        RESEARCHER = "researcher", _("Researcher")

    class Group(models.TextChoices):
        TRAINING = "training", _("Training")
        HELD_OUT = "held_out", _("Held Out")
        RESEARCHER = "researcher", _("Researcher")
        SIMULATED = "simulated", _("Simulated")
        # Being screened, or turned down: served screening tasks alone, and their answers stay out of everything else.
        APPLICANT = "applicant", _("Applicant")

    class Onboarding(models.TextChoices):
        """How far somebody new is; empty for who was here before, or never had to."""

        TRAINING = "training", _("Training")
        PROBATION = "probation", _("On probation")
        WAITING = "waiting", _("Waits for a decision")
        PASSED = "passed", _("Passed")
        ENDED = "ended", _("Ended")

    role = models.CharField(max_length=12, choices=Role, default=Role.LABELER)
    group = models.CharField(max_length=12, choices=Group, default=Group.TRAINING)
    display_name = models.CharField(max_length=80, blank=True)
    # Of the interface, one of settings.LANGUAGES; empty for what the browser asks for.
    language = models.CharField(max_length=10, blank=True, default="", db_default="")
    # Categories of `Sensitive` that this person is never served.
    opted_out = ArrayField(models.CharField(max_length=20), default=list, db_default=[], blank=True)
    # Set by an admin: no tasks until it is empty again.
    paused_at = models.DateTimeField(null=True, blank=True)
    pause_reason = models.CharField(max_length=300, blank=True, db_default="")
    # Set by an admin who offboards them: when, and why. Their answers stay.
    offboarded_at = models.DateTimeField(null=True, blank=True)
    offboard_reason = models.CharField(max_length=300, blank=True, db_default="")
    # How often all their sessions were ended. Part of what a session must prove, so counting on ends every one at once.
    sessions_ended = models.PositiveIntegerField(default=0, db_default=0)
    # Answers a day at most; none where empty.
    daily_quota = models.PositiveSmallIntegerField(null=True, blank=True)
    # Here, so that a grant reads it with the person; `labeling.onboarding` says what each means, and changes it.
    onboarding = models.CharField(max_length=9, choices=Onboarding, blank=True, default="", db_default="")
    # When it began, and how many answers on probation are wanted.
    onboarding_at = models.DateTimeField(null=True, blank=True)
    probation_answers = models.PositiveSmallIntegerField(null=True, blank=True)
    # Command → key, where it is another than the usual one; "" for a command that shall have none.
    keys = models.JSONField(default=dict, db_default={}, blank=True)
    # Off: no command answers to a letter alone, for who speaks to the computer or lives with a screen reader.
    letter_keys = models.BooleanField(default=True, db_default=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["labeler", "admin", "researcher"]), name="user_role_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(group__in=["training", "held_out", "researcher", "simulated", "applicant"]),
                name="user_group_is_known",
            ),
            # A simulated account cannot sign in to anything but the labeler's side.
            models.CheckConstraint(
                condition=~models.Q(group="simulated") | models.Q(role="labeler"), name="user_simulated_is_labeler"
            ),
            models.CheckConstraint(
                condition=~models.Q(group="applicant") | models.Q(role="labeler"), name="user_applicant_is_labeler"
            ),
            models.CheckConstraint(
                condition=models.Q(opted_out__contained_by=list(Sensitive.values)),
                name="user_opted_out_of_known_categories",
            ),
            models.CheckConstraint(
                condition=models.Q(paused_at__isnull=True, pause_reason="")
                | models.Q(paused_at__isnull=False) & ~models.Q(pause_reason=""),
                name="user_paused_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(offboarded_at__isnull=True, offboard_reason="")
                | models.Q(offboarded_at__isnull=False, is_active=False) & ~models.Q(offboard_reason=""),
                name="user_offboarded_is_off_and_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(daily_quota__isnull=True) | models.Q(daily_quota__gte=1),
                name="user_daily_quota_is_at_least_1",
            ),
            models.CheckConstraint(
                condition=models.Q(language__in=["", *dict(settings.LANGUAGES)]), name="user_language_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(onboarding="", onboarding_at__isnull=True, probation_answers__isnull=True)
                | models.Q(
                    onboarding__in=["training", "probation", "waiting", "passed", "ended"],
                    onboarding_at__isnull=False,
                    probation_answers__gte=1,
                ),
                name="user_onboarding_says_since_when",
            ),
            models.CheckConstraint(
                condition=models.Q(onboarding="") | ~models.Q(group="simulated"), name="user_simulated_is_not_onboarded"
            ),
        ]
        indexes = [
            models.Index(
                fields=["onboarding", "onboarding_at", "id"],
                condition=~models.Q(onboarding=""),
                name="user_by_onboarding",
            ),
        ]
        triggers = [
            # What models learn from is told from what they are measured by through these two groups.
            pgtrigger.Trigger(
                name="user_group_keeps_apart",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("group"),
                condition=pgtrigger.AnyChange("group"),
                func="""
                    IF OLD."group" = 'simulated' OR NEW."group" = 'simulated' THEN
                        RAISE check_violation USING MESSAGE = 'who is simulated stays so, and nobody else becomes it',
                            CONSTRAINT = 'user_group_keeps_apart';
                    ELSIF OLD."group" = 'held_out' THEN
                        RAISE check_violation USING MESSAGE = 'who is held out never gives answers to train on',
                            CONSTRAINT = 'user_group_keeps_apart';
                    ELSIF NEW."group" IN ('held_out', 'applicant') AND EXISTS (
                        -- Answers to screening tasks never train anything.
                        SELECT FROM labeling_lease lease
                        JOIN labeling_task task ON task.id = lease.task_id
                        JOIN labeling_batch batch ON batch.id = task.batch_id
                        WHERE lease.labeler_id = NEW.id AND lease.state = 'submitted' AND NOT batch.screening
                    ) THEN
                        RAISE check_violation USING MESSAGE = 'models may have learned from their answers already',
                            CONSTRAINT = 'user_group_keeps_apart';
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session has to match at each request: of the password, and of how often sessions were ended."""
        of_password = super()._get_session_auth_hash(secret)
        return f"{of_password}:{self.sessions_ended}" if self.sessions_ended else of_password

    @property
    def is_onboarding(self) -> bool:
        """Whether something is asked of them that is not asked of others."""
        return self.onboarding not in ("", self.Onboarding.PASSED)

    @property
    def is_simulated(self) -> bool:
        return self.group == self.Group.SIMULATED

    @property
    def is_applicant(self) -> bool:
        return self.group == self.Group.APPLICANT

    @property
    def shown_name(self) -> str:
        """Their name as staff's pages about answers show it: applicants are judged without one."""
        return str(_("An applicant")) if self.is_applicant else self.name

    @property
    def keys_json(self) -> str:
        """For the pages' scripts: {command: key, "off": whether letters alone do nothing}."""
        return json.dumps({**self.keys, "off": not self.letter_keys})

    @property
    def name(self) -> str:
        return self.display_name or self.username


# Whom ordinary work, exports and reports are for.
WORKING_GROUPS = [group for group in User.Group if group != User.Group.APPLICANT]
WORKING_CHOICES = [(group.value, group.label) for group in WORKING_GROUPS]


class Invitation(models.Model):
    """A link that lets one person make one account. Only the hash of its token is kept."""

    token_sha256 = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=12, choices=User.Role)
    group = models.CharField(max_length=12, choices=User.Group)
    note = models.CharField(max_length=120, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="invitations_made")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    accepted_by = models.OneToOneField(User, null=True, on_delete=models.PROTECT, related_name="invitation")
    accepted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(accepted_by__isnull=True, accepted_at__isnull=True)
                | models.Q(accepted_by__isnull=False, accepted_at__isnull=False),
                name="invitation_accepted_by_someone_at_some_time",
            ),
        ]


class ApiToken(models.Model):
    """A key for the HTTP API, shown once. Only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80)
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class Break(models.Model):
    """A pause that a labeler takes: no task waits for them while it lasts, and none runs out."""

    labeler = models.ForeignKey(User, on_delete=models.CASCADE, related_name="breaks")
    began_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["labeler"], condition=models.Q(ended_at__isnull=True), name="break_one_open_per_labeler"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True) | models.Q(ended_at__gte=models.F("began_at")),
                name="break_ends_after_it_began",
            ),
        ]
        indexes = [models.Index(fields=["labeler", "-began_at"])]


class TeamSettings(models.Model):
    """The figures that a team sets for itself: one row, or none while all are as they came."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    lease_seconds = models.PositiveIntegerField(default=900, db_default=900)
    # Before a lease that ran out is offered to others.
    lease_grace_seconds = models.PositiveIntegerField(default=60, db_default=60)
    # How long a task that was fetched ahead waits to be begun.
    ahead_seconds = models.PositiveIntegerField(default=180, db_default=180)
    # Without a key or a move for so long, time at a task no longer counts as work.
    idle_seconds = models.PositiveIntegerField(default=60, db_default=60)
    # How long after an answer its labeler may correct it.
    correction_hours = models.PositiveIntegerField(default=24, db_default=24)
    # Of a survey, fewer people than this are shown as no number; holds for rounds opened from now on.
    survey_minimum = models.PositiveSmallIntegerField(default=5, db_default=5)
    # Of a labeler's new tasks, how many are hidden checks, where one is due for them.
    check_percent = models.PositiveSmallIntegerField(default=5, db_default=5)
    # A check that somebody answered comes to them again, as a drift anchor, after so many days at the earliest.
    check_anchor_days = models.PositiveSmallIntegerField(default=90, db_default=90)
    # Agreement with researchers below this share raises an alert, whatever is usual.
    check_alert_percent = models.PositiveSmallIntegerField(default=60, db_default=60)
    # Where a day begins: for quotas and for "today".
    time_zone = models.CharField(max_length=60, default="UTC", db_default="UTC")

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="team_settings_are_one_row"),
            models.CheckConstraint(
                condition=models.Q(lease_seconds__gte=60, lease_seconds__lte=86_400),
                name="team_settings_lease_is_a_minute_to_a_day",
            ),
            models.CheckConstraint(
                condition=models.Q(survey_minimum__gte=3, survey_minimum__lte=100),
                name="team_settings_survey_minimum_is_3_to_100",
            ),
            models.CheckConstraint(
                condition=models.Q(check_percent__lte=100, check_alert_percent__lte=100),
                name="team_settings_checks_are_shares",
            ),
            models.CheckConstraint(
                condition=models.Q(check_anchor_days__gte=1), name="team_settings_anchors_wait_a_day"
            ),
        ]
