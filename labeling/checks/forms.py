"""The form that makes a check set; the service holds its rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.checks.queries import batches_for_sets
from labeling.checks.services import GROUPS, MOST_TOLERANCE, NAME_CHARACTERS
from labeling.people.models import User


class SetForm(forms.Form):
    name = forms.CharField(max_length=NAME_CHARACTERS, label=_("Name"), help_text=_("No labeler ever sees it."))
    batch = forms.ModelChoiceField(
        queryset=None,
        label=_("From the batch"),
        help_text=_(
            "Those of its tasks that researchers have answered: rankings, pairs, or single completions with ratings "
            "and flags. To give answers for the purpose, make a batch for the group Researcher and answer it first."
        ),
    )
    researchers = forms.IntegerField(
        initial=1,
        min_value=1,
        max_value=20,
        label=_("Researchers, at least"),
        help_text=_("Where several answered, only what all of them say counts."),
    )
    tolerance = forms.IntegerField(
        initial=1,
        min_value=0,
        max_value=MOST_TOLERANCE,
        label=_("Tolerance of ratings, in points"),
        help_text=_("How far a rating from 1 to 7 may be from a researcher's and still agree. This cannot be changed."),
    )
    groups = forms.MultipleChoiceField(
        choices=[(group.value, group.label) for group in User.Group if group in GROUPS],
        initial=[User.Group.TRAINING, User.Group.HELD_OUT],
        label=_("Whom it measures"),
        widget=forms.CheckboxSelectMultiple,
    )
    exported = forms.BooleanField(
        required=False,
        label=_("Labelers' first answers may be trained on"),
        help_text=_("As other rankings are. Left out of data sets otherwise. This cannot be changed."),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["batch"].queryset = batches_for_sets()
