"""Forms of the onboarding pages; the services hold the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.onboarding.services import END, EXTEND, LEAST, MOST, PASS
from labeling.people.services import REASON_CHARACTERS


class OnboardingSettingsForm(forms.Form):
    switched_on = forms.BooleanField(
        required=False,
        label=_("Who joins from now on begins here"),
        help_text=_("Labelers who are here already are asked nothing."),
    )
    tour = forms.BooleanField(required=False, label=_("They must finish the tour of practice tasks"))
    answers = forms.IntegerField(
        min_value=LEAST,
        max_value=MOST,
        label=_("Answers on probation"),
        help_text=_("Who has begun keeps the number that was asked of them."),
    )
    waits = forms.BooleanField(
        required=False,
        label=_("After these they wait until somebody has decided"),
        help_text=_("Otherwise they go on with everybody's tasks meanwhile."),
    )


class DecisionForm(forms.Form):
    decision = forms.ChoiceField(
        choices=[(PASS, _("Pass: they work as everybody")), (EXTEND, _("Extend the probation")), (END, _("End it"))],
        label=_("Decision"),
        widget=forms.RadioSelect,
    )
    more = forms.IntegerField(
        min_value=LEAST, max_value=MOST, required=False, label=_("Answers more"), help_text=_("Where it is extended.")
    )
    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        label=_("Why"),
        help_text=_("For your team; the person does not read it."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    seen = forms.CharField(max_length=9, widget=forms.HiddenInput)
