"""The form that opens a round; the service holds its rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.people.models import User
from labeling.surveys.built_in import BUILT_IN
from labeling.surveys.services import GROUPS, TITLE_CHARACTERS
from labeling.surveys.wording import title_of


def questionnaires() -> list[tuple[str, str]]:
    return [(name, title_of(name)) for name in BUILT_IN]


class RoundForm(forms.Form):
    questionnaire = forms.ChoiceField(choices=questionnaires, label=_("Questionnaire"))
    title = forms.CharField(max_length=TITLE_CHARACTERS, label=_("Title"), help_text=_("Those who are asked see it."))
    groups = forms.MultipleChoiceField(
        choices=[(group.value, group.label) for group in User.Group if group in GROUPS],
        label=_("Who is asked"),
        widget=forms.CheckboxSelectMultiple,
    )
    closes_on = forms.DateField(
        label=_("Open until"),
        help_text=_("The last day, where the team is. Results are made when it is over, or when you close it."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
