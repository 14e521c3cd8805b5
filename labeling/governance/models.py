"""What was found in prompts that keeps them from being used, what is to follow from it, and what was decided."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.governance.personal_data import KINDS
from labeling.intake.models import Prompt, Split

# Whose findings are a person's: words that somebody marked by hand.
PERSON = "person"
# The kind of words that were marked without saying of which kind they are.
UNNAMED = "personal"

APPEND_ONLY = pgtrigger.Update | pgtrigger.Delete


class DetectorVersion(models.Model):
    """One detector in one configuration that has scanned prompts here."""

    name = models.CharField(max_length=60)
    version = models.CharField(max_length=20)
    configuration = models.CharField(max_length=64)  # SHA-256, hex
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "version", "configuration"], name="detector_version_once"),
        ]
        triggers = [pgtrigger.Protect(name="detector_version_is_append_only", operation=APPEND_ONLY)]


class Policy(models.Model):
    """One version of what follows from a finding. The newest holds."""

    class Preset(models.TextChoices):
        ALL_SPLITS = "all_splits", _("All splits")
        INSTRUCTGPT = "instructgpt", _("As for InstructGPT: the training split alone")
        OWN = "own", _("Our own")

    number = models.PositiveIntegerField(unique=True)
    preset = models.CharField(max_length=12, choices=Preset)
    # A finding of at least this score (0 to 1) counts.
    hold_at = models.FloatField()
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(hold_at__gt=0, hold_at__lte=1), name="policy_threshold_is_a_share"
            ),
            models.CheckConstraint(
                condition=models.Q(preset__in=["all_splits", "instructgpt", "own"]), name="policy_preset_is_known"
            ),
        ]
        triggers = [pgtrigger.Protect(name="policy_is_append_only", operation=APPEND_ONLY)]


class PolicyRule(models.Model):
    """What a policy does with a finding of one kind in one split. The empty kind stands for all that have no rule."""

    class Action(models.TextChoices):
        ALLOW = "allow", _("Allow")
        REDACT = "redact", _("Redact")
        HOLD = "hold", _("Hold for review")
        DROP = "drop", _("Drop")

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="rules", db_index=False)
    split = models.CharField(max_length=5, choices=Split)
    kind = models.CharField(max_length=40, blank=True)
    action = models.CharField(max_length=6, choices=Action)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["policy", "split", "kind"], name="policy_rule_once_per_split_and_kind"),
            models.CheckConstraint(
                condition=models.Q(split__in=["train", "valid", "test"]), name="policy_rule_split_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(action__in=["allow", "redact", "hold", "drop"]), name="policy_rule_action_is_known"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="policy_rule_is_append_only", operation=APPEND_ONLY),
            pgtrigger.Trigger(
                # A version that others have named says what it said then.
                name="policy_rule_comes_with_its_policy",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF (SELECT created_at FROM labeling_policy WHERE id = NEW.policy_id) < now() THEN
                        RAISE EXCEPTION 'Policy % is made already; make another', NEW.policy_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class Gate(models.Model):
    """A detector and the policy that was applied to what it found: what a prompt last went through."""

    detector = models.ForeignKey(DetectorVersion, on_delete=models.PROTECT, related_name="gates", db_index=False)
    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="gates", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["detector", "policy"], name="gate_once_per_detector_and_policy"),
        ]
        triggers = [pgtrigger.Protect(name="gate_is_append_only", operation=APPEND_ONLY)]


class Finding(models.Model):
    """Personal data in one message of a prompt, found by a recogniser or marked by a person: where it is in the
    original text, never a copy of it."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="findings")
    message_index = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=40)
    start = models.PositiveIntegerField()  # characters into the message
    end = models.PositiveIntegerField()
    score = models.FloatField()
    recogniser = models.CharField(max_length=60)
    version = models.CharField(max_length=20)
    # Somebody looked and said that it is none.
    dismissed = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="finding_spans_something"),
            models.CheckConstraint(condition=models.Q(score__gte=0, score__lte=1), name="finding_score_is_a_share"),
        ]

    @property
    def kind_in_words(self) -> str:
        """The kind in the reader's language; one that no detector knows any more as it is stored."""
        return str(KINDS.get(self.kind, _("personal data") if self.kind == UNNAMED else self.kind))


class Original(models.Model):
    """The text of a redacted prompt as it came in. Its `prompt.messages` is what everybody else sees.

    `replaced` lists what was replaced, as spans of this text: {"message", "start", "end", "kind", "placeholder"}.
    """

    prompt = models.OneToOneField(Prompt, primary_key=True, on_delete=models.CASCADE, related_name="original")
    messages = models.JSONField()
    replaced = models.JSONField()
    redacted_at = models.DateTimeField(db_default=Now())

    class Meta:
        triggers = [
            pgtrigger.ReadOnly(name="original_text_is_read_only", fields=["messages", "prompt"]),
            pgtrigger.Trigger(
                name="original_is_what_the_prompt_said",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    IF NEW.messages IS DISTINCT FROM (
                        SELECT messages FROM labeling_prompt WHERE id = NEW.prompt_id
                    ) THEN
                        RAISE EXCEPTION 'The original of prompt % is another text than the prompt has', NEW.prompt_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]


class Decision(models.Model):
    """A person's word on a prompt: the team's, or that of who wrote or reviewed it, which can be brought back."""

    class Outcome(models.TextChoices):
        RELEASE = "release", _("Keep")
        REDACT = "redact", _("Redact")
        DROP = "drop", _("Drop")
        TAKE_BACK = "take_back", _("Take back")
        BRING_BACK = "bring_back", _("Bring back")
        UNDO = "undo", _("Undo")

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="decisions")
    outcome = models.CharField(max_length=10, choices=Outcome)
    reason = models.CharField(max_length=300, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(db_default=Now())
    # What had scanned the prompt, and what of it was judged: {"message", "start", "end", "kind", "recogniser", "score",
    # "real"}. Estimates are made of these.
    gate = models.ForeignKey(Gate, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    findings = models.JSONField(default=list, db_default=[])
    # The state that it ended, to which an undo returns.
    state_before = models.CharField(max_length=10, blank=True, db_default="")
    undoes = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="undone_by")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(outcome="undo", undoes__isnull=False)
                | ~models.Q(outcome="undo") & models.Q(undoes__isnull=True),
                name="decision_undo_says_what_it_undoes",
            ),
        ]
        indexes = [
            # The estimates read the team's words on what one gate held.
            models.Index(
                fields=["gate", "id"],
                condition=models.Q(outcome__in=["release", "redact", "drop"]),
                name="decision_of_gate",
            ),
        ]
        triggers = [pgtrigger.Protect(name="decision_is_never_altered", operation=pgtrigger.Update)]


class Flag(models.Model):
    """Somebody at work says that a prompt has personal data in it which the filter let pass."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="flags", db_index=False)
    # Named, for leases stand above this feature.
    lease = models.ForeignKey("Lease", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # Where the words lie that they marked is in findings of theirs; none where they only wrote a note.
    words = models.PositiveSmallIntegerField(default=0)  # marked places
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    # The word that settled it.
    decision = models.ForeignKey(Decision, null=True, on_delete=models.PROTECT, related_name="flags", db_index=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["prompt", "by"], condition=models.Q(decision__isnull=True), name="flag_one_open_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(words__gt=0) | ~models.Q(note=""), name="flag_says_where_or_what"
            ),
        ]
        indexes = [models.Index(fields=["prompt", "id"], name="flag_of_prompt")]


class BlindSample(models.Model):
    """Prompts drawn at random to be judged without any mark: of those that passed the filter, and, so that nobody can
    tell, of those that it holds."""

    class State(models.TextChoices):
        DRAWING = "drawing"
        READY = "ready"

    gate = models.ForeignKey(Gate, on_delete=models.PROTECT, related_name="samples", db_index=False)
    state = models.CharField(max_length=7, choices=State, default=State.DRAWING)
    wanted = models.PositiveIntegerField()  # of passed prompts
    seed = models.BigIntegerField()
    # How many there were of each when it was drawn: passed, and found in whatever followed.
    passed = models.PositiveIntegerField(default=0)
    found = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(wanted__gte=1, wanted__lte=10_000), name="blind_sample_1_to_10000"
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["drawing", "ready"]), name="blind_sample_state_is_known"
            ),
        ]


class BlindItem(models.Model):
    """One prompt of a blind sample, and what was said of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sample = models.ForeignKey(BlindSample, on_delete=models.PROTECT, related_name="items", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="blind_items")
    place = models.PositiveIntegerField()  # in an order drawn at random
    passed = models.BooleanField()
    judged_at = models.DateTimeField(null=True)
    judged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    # Whether there is personal data in it, and of which kinds; none while nobody has looked.
    real = models.BooleanField(null=True)
    kinds = ArrayField(models.CharField(max_length=40), default=list, db_default=[])
    decision = models.OneToOneField(Decision, null=True, on_delete=models.PROTECT, related_name="blind_item")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sample", "prompt"], name="blind_item_once_per_sample"),
            models.CheckConstraint(
                condition=models.Q(judged_at__isnull=True, judged_by__isnull=True, real__isnull=True)
                | models.Q(judged_at__isnull=False, judged_by__isnull=False, real__isnull=False),
                name="blind_item_judged_says_who_and_what",
            ),
        ]
        indexes = [
            models.Index(
                fields=["sample", "place"], condition=models.Q(judged_at__isnull=True), name="blind_item_waits"
            ),
        ]


class OutputScan(models.Model):
    """What one detector found in one text that somebody or a model wrote: such texts are looked at once, and exported
    often. Known by its SHA-256; the text itself is elsewhere."""

    detector = models.ForeignKey(DetectorVersion, on_delete=models.PROTECT, related_name="+", db_index=False)
    text_sha256 = models.BinaryField(max_length=32)
    # [[start, end, kind, score], …]; empty where nothing was found.
    spans = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["detector", "text_sha256"], name="output_scan_once_per_text"),
        ]
