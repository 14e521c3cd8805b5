"""Forms of the erasure pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.erasure.models import Answers
from labeling.erasure.services import MOST_DAYS, REASON_CHARACTERS


class FindForm(forms.Form):
    source = forms.CharField(
        max_length=100, label=_("Source"), widget=forms.TextInput(attrs={"list": "sources", "autocomplete": "off"})
    )
    user_id = forms.CharField(
        max_length=200,
        required=False,
        label=_("Their id there"),
        help_text=_("As the source names them; empty for all prompts that came without one."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


class EraseForm(forms.Form):
    answers = forms.ChoiceField(
        choices=Answers.choices, initial=Answers.KEEP, label=_("Answers to their prompts"), widget=forms.RadioSelect
    )
    refuse = forms.BooleanField(
        required=False,
        label=_("Take nothing more of them in"),
        help_text=_("They are known again by a keyed hash; their id is not kept."),
    )
    reason = forms.CharField(
        max_length=REASON_CHARACTERS, label=_("Reason"), help_text=_("It stays, so it must not name anybody.")
    )
    sure = forms.BooleanField(label=_("I know that this cannot be undone"))


class RetentionForm(forms.Form):
    source = forms.CharField(
        max_length=100,
        label=_("Source"),
        widget=forms.TextInput(attrs={"list": "sources", "autocomplete": "off"}),
    )
    days = forms.IntegerField(
        min_value=1, max_value=MOST_DAYS, required=False, label=_("Days"), help_text=_("Empty: for ever.")
    )
    answers = forms.ChoiceField(choices=Answers.choices, initial=Answers.KEEP, label=_("Answers to their prompts"))
