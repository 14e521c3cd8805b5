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
    MODAL,
    NONE,
    PREFER,
    TRAINING,
)
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
            (TRAINING, _("training: without held-out labelers")),
            (EVALUATION, _("evaluation: its batches alone")),
        ],
        label=_("Purpose"),
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
            (CONSENSUS, _("only the consensus, one row a task")),
        ],
        label=_("Answers"),
        help_text=_("Of comparisons: what becomes of tasks that a researcher decided."),
    )
    until = forms.DateTimeField(
        required=False,
        help_text=_("What was there at this time, UTC, such as 2026-01-31 12:00. Empty: now."),
        label=_("Until"),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        names = Batch.objects.order_by("-created_at").values_list("name", flat=True)[:MOST_BATCHES]
        self.fields["batches"].choices = [(name, name) for name in names]
        self.fields["sources"].choices = [(name, name) for name in source_names()]

    def request(self) -> dict:
        """The arguments of `request_dataset`."""
        given = dict(self.cleaned_data)
        return {"kind": given.pop("kind"), "name": given.pop("name"), "question": given}
