"""The forms of a draw and of a verdict; the services hold their rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.label_errors.models import ErrorVerdict
from labeling.label_errors.services import MOST_DRAWN, NOTE_CHARACTERS, SEEDS


class DrawForm(forms.Form):
    size = forms.IntegerField(min_value=1, max_value=MOST_DRAWN, label=_("Answers"), initial=50)
    share = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=50,
        label=_("Of a hundred, suspicious ones"),
        help_text=_("The others are drawn at random, to compare with."),
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=SEEDS - 1,
        required=False,
        label=_("Seed"),
        help_text=_("Empty: drawn. It is kept either way."),
    )
    simulated = forms.BooleanField(required=False, label=_("From simulated labelers instead of people"))


class VerdictForm(forms.Form):
    verdict = forms.ChoiceField(choices=ErrorVerdict.Verdict.choices, widget=forms.RadioSelect, label=_("Verdict"))
    note = forms.CharField(required=False, max_length=NOTE_CHARACTERS, widget=forms.Textarea, label=_("Note"))
