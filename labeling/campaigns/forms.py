"""Forms of the campaigns' pages. They read fields; the services hold the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.campaigns.models import Campaign
from labeling.intake.models import Split
from labeling.people.models import WORKING_CHOICES
from labeling.sampling.choosing import Selection
from labeling.sampling.queries import active_endpoints


class NewCampaignForm(forms.Form):
    name = forms.CharField(max_length=100, label=_("Name"))
    baseline = forms.ModelChoiceField(queryset=None, help_text=_("The model to beat."), label=_("Baseline"))
    candidate = forms.ModelChoiceField(queryset=None, help_text=_("The model that is new."), label=_("Candidate"))
    splits = forms.MultipleChoiceField(
        choices=Split.choices,
        initial=["valid", "test"],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Models have seen the prompts of the training split: a fair comparison leaves them out."),
        label=_("Splits"),
    )
    count = forms.IntegerField(min_value=1, initial=50, label=_("Prompts at most"))
    each = forms.IntegerField(min_value=1, max_value=13, initial=2, label=_("Completions of each model for a prompt"))
    overlap = forms.IntegerField(min_value=1, max_value=100, initial=1, label=_("Labelers for each prompt"))
    groups = forms.MultipleChoiceField(
        choices=WORKING_CHOICES,
        initial=["training", "held_out"],
        widget=forms.CheckboxSelectMultiple,
        label=_("Groups"),
    )
    temperature = forms.FloatField(min_value=0, max_value=2, initial=1.0, label=_("Temperature"))
    max_tokens = forms.IntegerField(min_value=1, max_value=4096, initial=128, label=_("Longest completion, tokens"))
    seed = forms.IntegerField(initial=0, label=_("Seed"))

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name in ("baseline", "candidate"):
            self.fields[name].queryset = active_endpoints()
        self.fields["name"].initial = f"evaluation-{Campaign.objects.count() + 1}"

    def asked(self) -> dict:
        """The arguments of `start_campaign`."""
        data = dict(self.cleaned_data)
        data["prompts"] = Selection(splits=tuple(data.pop("splits")), count=data.pop("count"))
        return data
