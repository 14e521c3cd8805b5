"""The form of a new data set. It reads fields; `question.read_question` holds the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.exports.models import Dataset
from labeling.exports.question import (
    ADJUDICATED,
    ALL,
    BRADLEY_TERRY,
    CONSENSUS,
    EVALUATION,
    KEEP,
    LEAVE_OUT,
    MODAL,
    NONE,
    ONE,
    PREFER,
    STRICT,
    TRAINING,
)
from labeling.forms.models import Form
from labeling.intake.models import Split, UseCase
from labeling.intake.queries import source_names
from labeling.people.models import WORKING_CHOICES, User
from labeling.rankings.models import Ranking
from labeling.sampling.models import Batch

# A menu of more is no menu; the command and the API name any batch.
MOST_BATCHES = 200


def _ticks(choices, **more) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(choices=choices, required=False, widget=forms.CheckboxSelectMultiple, **more)


class DatasetForm(forms.Form):
    """Nothing ticked in a list means everything."""

    kind = forms.ChoiceField(choices=Dataset.Kind.choices, label=_("Kind"))
    name = forms.CharField(
        max_length=100, required=False, help_text=_("What your team calls it; may stay empty."), label=_("Name")
    )
    splits = _ticks(Split.choices, help_text=_("None: every split, each in its own file."), label=_("Splits"))
    batches = _ticks([], label=_("Batches"))
    sources = _ticks([], label=_("Sources"))
    use_cases = _ticks(UseCase.choices, label=_("Use cases"))
    groups = _ticks(
        [choice for choice in WORKING_CHOICES if choice[0] != User.Group.SIMULATED], label=_("Labeler groups")
    )
    origins = _ticks(
        [choice for choice in Ranking.Origin.choices if choice[0] != Ranking.Origin.SIMULATED], label=_("Origins")
    )
    include_simulated = forms.BooleanField(
        required=False, label=_("With the answers of simulated labelers (they are marked in every row)")
    )
    include_probation = forms.BooleanField(
        required=False, label=_("With the answers of labelers whose probation is not passed")
    )
    leave_out_errors = forms.BooleanField(
        required=False, label=_("Without rankings in which somebody found an error (comparisons alone)")
    )
    purpose = forms.ChoiceField(
        choices=[
            ("", _("what the kind is for")),
            (TRAINING, _("training: without held-out labelers")),
            (EVALUATION, _("evaluation: its batches alone")),
        ],
        required=False,
        label=_("Purpose"),
    )
    formats = _ticks(
        [
            ("parquet", _("Parquet: the same rows")),
            ("trl", _("TRL: conversational pairs, or prompt and completion")),
            ("openrlhf", _("OpenRLHF: whole conversations")),
            ("kto", _("KTO: unpaired, of rankings")),
        ],
        label=_("Formats"),
        help_text=_("Written beside the rows, which are compressed JSON lines."),
    )
    ties = forms.ChoiceField(
        required=False,
        choices=[(KEEP, _("keep: they are ties in every row")), (STRICT, _("strict: without rankings that have any"))],
        label=_("Ties"),
    )
    all_bad = forms.ChoiceField(
        required=False,
        choices=[
            (LEAVE_OUT, _("left out: they compare nothing")),
            (KEEP, _("kept, as ties of all completions")),
        ],
        label=_("Rankings that call all bad"),
    )
    agreement = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        label=_("Least agreement"),
        help_text=_("Of rankings: only tasks whose labelers order this share of pairs alike, 0 to 1."),
    )
    consensus = forms.ChoiceField(
        required=False,
        choices=[
            (NONE, _("none")),
            (MODAL, _("modal: the order that most give, else the majority of each pair")),
            (BRADLEY_TERRY, _("Bradley–Terry over all answers")),
        ],
        label=_("Consensus"),
        help_text=_("Of comparisons: beside each answer, the order that all answers to its task make."),
    )
    answers = forms.ChoiceField(
        required=False,
        choices=[
            (ALL, _("all: each labeler's, and what decided")),
            (PREFER, _("what decided about a task where something did, else all")),
            (ADJUDICATED, _("only what decided")),
            (ONE, _("one a task: what decided, else the first")),
            (CONSENSUS, _("only the consensus, one row a task")),
        ],
        label=_("Answers"),
        help_text=_("Of comparisons: what becomes of tasks that a researcher decided."),
    )
    since = forms.DateTimeField(
        required=False,
        help_text=_("What came at this time or later, UTC. Empty: from the beginning."),
        label=_("Since"),
    )
    until = forms.DateTimeField(
        required=False,
        help_text=_("What was there at this time, UTC, such as 2026-01-31 12:00. Empty: now."),
        label=_("Until"),
    )
    # Last, for it hides the module.
    forms = _ticks([], label=_("Forms"), help_text=_("Of rankings: given under one of these."))

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        names = Batch.objects.order_by("-created_at").values_list("name", flat=True)[:MOST_BATCHES]
        self.fields["batches"].choices = [(name, name) for name in names]
        forms_there = Form.objects.filter(versions__rankings__isnull=False).distinct().order_by("name")[:MOST_BATCHES]
        self.fields["forms"].choices = [(form.name, form.title) for form in forms_there]
        self.fields["sources"].choices = [(name, name) for name in source_names()]

    def request(self) -> dict:
        """The arguments of `request_dataset`."""
        given = dict(self.cleaned_data)
        return {"kind": given.pop("kind"), "name": given.pop("name"), "question": given}
