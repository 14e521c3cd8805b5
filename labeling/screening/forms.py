"""The forms of the screening pages; the services hold their rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.people.services import REASON_CHARACTERS
from labeling.screening.models import ScreeningDecision
from labeling.screening.services import MESSAGE_CHARACTERS


class CutoffsForm(forms.Form):
    """Shares are in per cent here, as people say them."""

    flags_cutoff = forms.FloatField(
        min_value=0, max_value=100, initial=75, label=_("Sensitive content: agreement with researchers, in %")
    )
    rankings_cutoff = forms.FloatField(
        min_value=0, max_value=100, initial=75, label=_("Rankings: agreement with researchers, in %")
    )
    grade_cutoff = forms.FloatField(
        min_value=1, max_value=7, initial=6, label=_("Mean grade of demonstrations, 1 to 7")
    )

    def figures(self) -> dict[str, float]:
        found = self.cleaned_data
        return {
            "flags_cutoff": found["flags_cutoff"] / 100,
            "rankings_cutoff": found["rankings_cutoff"] / 100,
            "grade_cutoff": found["grade_cutoff"],
        }


class RoundForm(CutoffsForm):
    name = forms.CharField(max_length=80, label=_("Name"))
    researchers = forms.IntegerField(
        min_value=1, max_value=5, initial=2, label=_("How many researchers answer each item")
    )
    graders = forms.IntegerField(
        min_value=2, max_value=5, initial=2, label=_("How many researchers grade each demonstration")
    )
    field_order = ["name", "flags_cutoff", "rankings_cutoff", "grade_cutoff", "researchers", "graders"]


class InviteForm(forms.Form):
    days = forms.IntegerField(min_value=1, max_value=90, initial=14, label=_("Days until the link expires"))
    note = forms.CharField(
        max_length=120, required=False, label=_("Note"), help_text=_("For whom it is; only admins see it.")
    )


class DecisionForm(forms.Form):
    outcome = forms.ChoiceField(
        choices=ScreeningDecision.Outcome.choices, widget=forms.RadioSelect, label=_("Decision")
    )
    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        label=_("Why"),
        help_text=_("The team reads it."),
    )
    message = forms.CharField(
        max_length=MESSAGE_CHARACTERS,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        label=_("A word to the applicant"),
        help_text=_("They read it with what the researchers chose. May stay empty."),
    )
    revises = forms.UUIDField(required=False, widget=forms.HiddenInput)
