"""Endpoints, batches, and the completions that come of them."""

import uuid

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from labeling.forms.models import Form
from labeling.intake.models import Prompt
from labeling.people.models import User


class Endpoint(models.Model):
    """A model on an OpenAI-compatible server that completions can be sampled from."""

    name = models.CharField(max_length=100, unique=True)
    base_url = models.URLField(max_length=300)
    model = models.CharField(max_length=200)
    # Name of the environment variable that holds the server's key; the key itself is never stored.
    api_key_variable = models.CharField(max_length=100, blank=True)
    active = models.BooleanField(default=True)
    # The last look at the server, made by a job: pages show this and never wait for a model.
    check_asked_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    check_error = models.CharField(max_length=300, blank=True)  # empty: it answered and serves the model
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name

    @property
    def checking(self) -> bool:
        """A look was asked for and has not come back."""
        return self.check_asked_at is not None and (self.checked_at is None or self.checked_at < self.check_asked_at)


class BriefForm(models.TextChoices):
    """The three kinds of prompts that InstructGPT's labelers wrote (its section 3.2)."""

    PLAIN = "plain", _("any task")
    FEW_SHOT = "few_shot", _("an instruction with examples")
    USER_BASED = "user_based", _("for a stated use")


class Batch(models.Model):
    """Prompts to be worked on together: ranked (K completions each), answered by hand (demonstrations), written, or
    shown again with what was written in another batch (reviews)."""

    class Kind(models.TextChoices):
        RANKING = "ranking", _("Ranking")
        DEMONSTRATION = "demonstration", _("Demonstration")
        DIALOGUE = "dialogue", _("Dialogue")
        PROMPT = "prompt", _("Prompt")
        # Made with the batch whose answers are reviewed, and by nobody's hand.
        REVIEW = "review", _("Review")

    class State(models.TextChoices):
        SAMPLING = "sampling"
        OPEN = "open"
        CLOSED = "closed"

    class Reuse(models.TextChoices):
        RANDOM = "random", _("those there are: at random")
        UNCERTAINTY = "uncertainty", _("those there are: where the reward model is unsure")
        DISAGREEMENT = "disagreement", _("those there are: where reward models disagree")

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=15, choices=Kind, default=Kind.RANKING)
    state = models.CharField(max_length=10, choices=State, default=State.SAMPLING)
    endpoints = models.ManyToManyField(Endpoint, related_name="batches")
    overlap = models.PositiveSmallIntegerField(default=1)
    # Of a batch of rankings, how many of a hundred tasks are wanted from everybody in its groups, not from `overlap`.
    shared_percent = models.PositiveSmallIntegerField(default=0, db_default=0)
    priority = models.SmallIntegerField(default=0)
    # What is asked of completions; none: the default form.
    form = models.ForeignKey(Form, null=True, on_delete=models.PROTECT, related_name="batches")
    groups = ArrayField(models.CharField(max_length=12, choices=User.Group), default=list)
    # How many of the `overlap` answers each group gives, e.g. {"training": 2, "researcher": 1}; empty: whoever comes.
    group_targets = models.JSONField(default=dict, db_default={}, blank=True)
    # A labeler sees a prompt once. A later round shows it again with other completions; a repeat shows it again to who
    # answered it in that batch, to see whether they still think so.
    again = models.BooleanField(default=False, db_default=False)
    repeat_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="repeats")
    temperature = models.FloatField(default=1.0)
    top_p = models.FloatField(default=1.0)
    max_tokens = models.PositiveIntegerField(default=256)
    seed = models.BigIntegerField(default=0)
    # Brought in from elsewhere: nobody samples or serves it.
    imported = models.BooleanField(default=False)
    # Of a screening round: applicants answer, and researchers for the answers that applicants' are held against. What
    # is answered here trains nothing.
    screening = models.BooleanField(default=False, db_default=False)
    # Answers compare models and never train one.
    evaluation = models.BooleanField(default=False)
    # For who is on probation, and nobody else but researchers, who show how it should be done.
    probation = models.BooleanField(default=False, db_default=False)
    # What is written here counts once a second labeler has accepted or edited it. Said once, when the batch is made.
    review = models.BooleanField(default=False, db_default=False)
    # Of a batch of reviews: the batch whose answers they are about.
    review_of = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="review_batch")
    # Completions that name a model wait for somebody's look; otherwise they are served, and their marks say so.
    hold_named = models.BooleanField(default=True, db_default=True)
    # How many words a written answer may best have: shown beside the count, held against nobody.
    words_low = models.PositiveIntegerField(null=True)
    words_high = models.PositiveIntegerField(null=True)
    # Whose suggestions labelers may ask for while they write; none: nobody's.
    suggestions = models.ForeignKey(Endpoint, null=True, on_delete=models.PROTECT, related_name="+")
    # How completions are chosen among those of earlier batches; empty: they are sampled.
    reuse = models.CharField(max_length=12, choices=Reuse, blank=True, db_default="")
    # How its prompts were drawn, and from how many: `selecting.draw`. Empty where somebody named them.
    selection = models.JSONField(default=dict, db_default={}, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(overlap__gte=1, overlap__lte=100), name="batch_overlap_1_to_100"),
            models.CheckConstraint(
                condition=models.Q(shared_percent=0) | models.Q(shared_percent__lte=20, kind="ranking"),
                name="batch_shares_a_fifth_of_its_rankings",
            ),
            models.CheckConstraint(
                condition=models.Q(reuse="")
                | models.Q(reuse__in=["random", "uncertainty", "disagreement"], kind="ranking", evaluation=False),
                name="batch_reuse_is_of_rankings",
            ),
            models.CheckConstraint(
                condition=models.Q(temperature__gte=0, temperature__lte=2), name="batch_temperature_0_to_2"
            ),
            models.CheckConstraint(condition=models.Q(top_p__gt=0, top_p__lte=1), name="batch_top_p_0_to_1"),
            models.CheckConstraint(
                condition=models.Q(max_tokens__gte=1, max_tokens__lte=4096), name="batch_max_tokens_1_to_4096"
            ),
            models.CheckConstraint(
                condition=models.Q(words_low__lte=models.F("words_high"))
                | models.Q(words_low__isnull=True)
                | models.Q(words_high__isnull=True),
                name="batch_words_low_to_high",
            ),
            # Their screening seats them (`leasing.apart`); whatever stands in the common queue is not for them.
            models.CheckConstraint(
                condition=~models.Q(groups__contains=["applicant"]), name="batch_queue_is_not_for_applicants"
            ),
            models.CheckConstraint(
                condition=models.Q(suggestions__isnull=True) | models.Q(kind__in=["demonstration", "dialogue"]),
                name="batch_suggestions_are_for_writing",
            ),
            models.CheckConstraint(
                condition=models.Q(review=False) | models.Q(kind__in=["demonstration", "dialogue", "prompt"]),
                name="batch_review_is_of_what_is_written",
            ),
            models.CheckConstraint(
                condition=models.Q(probation=False)
                | models.Q(imported=False, evaluation=False, review_of__isnull=True, repeat_of__isnull=True),
                name="batch_probation_is_of_new_work",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="review", review_of__isnull=False)
                | ~models.Q(kind="review") & models.Q(review_of__isnull=True),
                name="batch_of_reviews_says_of_which",
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="batch_stays_of_screening_or_not",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("screening"),
            ),
            # Whoever wrote or reviewed was told how it counts.
            pgtrigger.Protect(
                name="batch_keeps_its_review",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("review", "review_of"),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BatchItem(models.Model):
    """One prompt in a batch, and how many completions are wanted for it; or the brief of a prompt to be written."""

    class State(models.TextChoices):
        WAITING = "waiting"
        FILLED = "filled"
        FAILED = "failed"

    class Strategy(models.TextChoices):
        """How it was chosen among the prompts that matched; docs/selection.md."""

        RANDOM = "random", _("at random")
        NEWEST = "newest", _("newest first")
        OLDEST = "oldest", _("oldest first")
        MIX = "mix", _("to the target mix of use cases")
        DEFICIT = "deficit", _("what is missing to the target mix")
        DISAGREEMENT = "disagreement", _("where reward models disagree")
        UNCERTAINTY = "uncertainty", _("where the reward model is unsure")
        COVERAGE = "coverage", _("unlike each other and what batches have")

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="items")
    prompt = models.ForeignKey(Prompt, null=True, on_delete=models.PROTECT, related_name="batch_items")
    # What prompt is to be written, where there is none yet: `briefs.Brief`.
    brief = models.JSONField(null=True)
    # Of an imported group its id: the same question may have been answered in several, about different documents. Of a
    # review the id of the answer that it is about. Empty otherwise.
    external_id = models.CharField(max_length=200, blank=True)
    k = models.PositiveSmallIntegerField()  # 0 for demonstrations
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    error = models.CharField(max_length=500, blank=True)
    # Completions that came out the same and were merged, e.g. "4 wanted, 3 differ".
    note = models.CharField(max_length=200, blank=True)
    # How it was chosen, empty where somebody named it; and how likely it was to be, where chance had a part in it. Its
    # inverse is its weight in what is said of all prompts that matched.
    strategy = models.CharField(max_length=12, choices=Strategy, blank=True, db_default="")
    probability = models.FloatField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(probability__isnull=True) | models.Q(probability__gt=0, probability__lte=1),
                name="batch_item_probability_is_above_0_and_at_most_1",
            ),
            models.CheckConstraint(
                condition=models.Q(strategy__in=["", "newest", "oldest"], probability__isnull=True)
                | models.Q(
                    strategy__in=["random", "mix", "deficit", "disagreement", "uncertainty", "coverage"],
                    probability__isnull=False,
                ),
                name="batch_item_drawn_by_chance_says_how_likely",
            ),
            models.UniqueConstraint(fields=["batch", "prompt", "external_id"], name="batch_item_once_per_prompt"),
            models.CheckConstraint(condition=models.Q(k__gte=0, k__lte=26), name="batch_item_k_0_to_26"),
            models.CheckConstraint(
                condition=models.Q(prompt__isnull=False, brief__isnull=True)
                | models.Q(prompt__isnull=True, brief__isnull=False),
                name="batch_item_has_prompt_or_brief",
            ),
            models.CheckConstraint(
                condition=models.Q(brief__isnull=True)
                | models.Q(brief__form__isnull=False, brief__form__in=BriefForm.values, k=0),
                name="batch_item_brief_names_its_form",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                # And where a written one is reviewed.
                name="batch_item_brief_is_where_prompts_are_written",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                condition=pgtrigger.Q(new__brief__isnull=False),
                func="""
                    IF (SELECT kind FROM labeling_batch WHERE id = NEW.batch_id) NOT IN ('prompt', 'review') THEN
                        RAISE EXCEPTION 'A brief in batch %, where no prompts are written', NEW.batch_id;
                    END IF;
                    RETURN NEW;
                """,
            ),
        ]
        indexes = [
            models.Index(fields=["batch", "state", "id"]),
            models.Index(
                fields=["batch", "external_id"], condition=~models.Q(external_id=""), name="item_by_external_id"
            ),
        ]

    @property
    def messages(self) -> list[dict]:
        """The prompt's, as people at work are shown it; none where it is still to be written."""
        return self.prompt.shown if self.prompt else []

    @property
    def categories(self) -> list[str]:
        return self.prompt.categories if self.prompt else []


# The strategies in which chance has a part.
DRAWN = tuple(value for value in BatchItem.Strategy.values if value not in ("newest", "oldest"))


class PromptSignal(models.Model):
    """Something computed of a prompt that strategies go by. Made anew by a job; nothing rests on an old one."""

    class Kind(models.TextChoices):
        DISAGREEMENT = "disagreement"  # 0 to 1: how much reward models differ in which completion is better
        UNCERTAINTY = "uncertainty"  # 0 to 1: how close to a toss-up that is for the newest of them
        GROUP = "group"  # the number of the group of similar prompts that it is in

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="signals", db_index=False)
    kind = models.CharField(max_length=12, choices=Kind)
    value = models.FloatField()
    # The models or the method, in words.
    made_of = models.CharField(max_length=500)
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "prompt"], name="prompt_signal_once_per_kind"),
            models.CheckConstraint(
                condition=models.Q(kind="group", value__gte=0)
                | models.Q(kind__in=["disagreement", "uncertainty"], value__gte=0, value__lte=1),
                name="prompt_signal_is_a_share_or_a_group",
            ),
        ]


class Completion(models.Model):
    """One answer to a prompt. Says nothing of who wrote it: that is `Provenance`, which labelers' pages never join."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    item = models.ForeignKey(BatchItem, on_delete=models.PROTECT, related_name="completions")
    text = models.TextField()
    text_sha256 = models.CharField(max_length=64)
    # How likely it was to be chosen among those there were; none where it was sampled for its item.
    probability = models.FloatField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(probability__isnull=True) | models.Q(probability__gt=0, probability__lte=1),
                name="completion_probability_is_above_0_and_at_most_1",
            ),
            models.UniqueConstraint(fields=["item", "text_sha256"], name="completion_once_per_text"),
        ]
        triggers = [
            pgtrigger.Protect(name="completion_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class Provenance(models.Model):
    """Where a completion came from. Several for one completion when samples were the same and merged."""

    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="provenance")
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    model = models.CharField(max_length=200)
    seed = models.BigIntegerField(null=True)
    parameters = models.JSONField(default=dict)
    finish_reason = models.CharField(max_length=20, blank=True)
    tokens = models.PositiveIntegerField(null=True)
    logprob = models.FloatField(null=True)  # sum over the answer's tokens, nats
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["model"])]
        triggers = [
            pgtrigger.Protect(name="provenance_is_append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        ]


class MakerTerm(models.Model):
    """A name that gives away which model wrote a completion, or who made that model. See `naming`."""

    text = models.CharField(max_length=80)
    # As it is compared: `naming.normal`.
    normal = models.CharField(max_length=200)
    active = models.BooleanField(default=True, db_default=True)
    built_in = models.BooleanField(default=False, db_default=False)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    added_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["normal"], name="maker_term_once_however_written"),
            models.CheckConstraint(condition=~models.Q(normal=""), name="maker_term_says_something"),
        ]

    def __str__(self) -> str:
        return self.text


class CompletionMark(models.Model):
    """A name in a completion that tells who wrote it. While one waits, nobody is shown the completion."""

    class State(models.TextChoices):
        WAITING = "waiting"
        ALLOWED = "allowed"  # it is served as it is
        WITHHELD = "withheld"  # the completion is left out of its task

    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="marks")
    term = models.CharField(max_length=200)
    # Unicode code points of the completion's text.
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    # Nobody: the batch holds nothing back.
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "start", "end"], name="mark_once_per_span"),
            models.CheckConstraint(condition=models.Q(end__gt=models.F("start")), name="mark_spans_something"),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "allowed", "withheld"]), name="mark_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(state="waiting", decided_at__isnull=True, decided_by__isnull=True)
                | ~models.Q(state="waiting") & models.Q(decided_at__isnull=False),
                name="mark_is_decided_at_some_time",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=models.Q(state="waiting"), name="mark_waiting"),
        ]
        triggers = [
            pgtrigger.Protect(
                name="mark_is_decided_once", operation=pgtrigger.Update, condition=~pgtrigger.Q(old__state="waiting")
            ),
            pgtrigger.Protect(name="mark_is_never_deleted", operation=pgtrigger.Delete),
        ]
