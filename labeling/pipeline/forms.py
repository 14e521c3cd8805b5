"""Forms of the pipeline's pages. They read fields; the services hold the rules."""

from __future__ import annotations

import json
import secrets

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.pipeline import queries
from labeling.pipeline.models import Checkpoint, Run
from labeling.refusals import Refusal
from labeling.text import parse_json


class NewRunForm(forms.Form):
    """What a run of one algorithm needs; menus list only what fits it."""

    name = forms.CharField(
        max_length=100, help_text=_("Also the new model's name. Letters, digits, dots, dashes."), label=_("Name")
    )
    dataset = forms.ModelChoiceField(queryset=None, label=_("Data set"), empty_label=None)
    base = forms.ModelChoiceField(queryset=None, label=_("Start from"), empty_label=None)
    reward = forms.ModelChoiceField(queryset=None, label=_("Reward model"), empty_label=None)
    auxiliary = forms.ModelChoiceField(queryset=None, required=False, empty_label=_("none"), label=_("Auxiliary"))
    preset = forms.ChoiceField(
        help_text=_("Where the numbers come from; each recipe names its sources."), label=_("Preset")
    )
    seed = forms.IntegerField(
        min_value=0, max_value=2**32 - 1, help_text=_("The same seed gives the same run."), label=_("Seed")
    )
    arguments = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false", "class": "mono"}),
        label=_("Other arguments"),
        help_text=_(
            'JSON, over the preset: {"learning_rate": 1e-5}. `python -m training ALGORITHM --help` lists them.'
        ),
    )

    def __init__(self, *args, algorithm: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].queryset = queries.datasets_for(algorithm)
        policies = Checkpoint.objects.filter(kind=Checkpoint.Kind.POLICY).order_by("-created_at")
        self.fields["base"].queryset = policies
        self.fields["preset"].choices = [(name, name) for name in queries.presets()]
        self.fields["name"].initial = queries.suggest_name(algorithm)
        self.fields["seed"].initial = secrets.randbelow(2**31)
        if algorithm == Run.Algorithm.PPO:
            rewards = Checkpoint.objects.filter(kind=Checkpoint.Kind.REWARD).order_by("-created_at")
            self.fields["reward"].queryset = rewards
            self.fields["auxiliary"].label = _("Pretraining mix")
            self.fields["auxiliary"].help_text = _("Demonstrations whose answers keep the policy's language: PPO-ptx.")
        else:
            del self.fields["reward"]
        if algorithm == Run.Algorithm.SFT:
            del self.fields["auxiliary"]
        else:
            self.fields["auxiliary"].queryset = queries.datasets_for("sft")
        if algorithm == Run.Algorithm.RM:
            self.fields["auxiliary"].label = _("Demonstrations")
            self.fields["auxiliary"].help_text = _("Their mean reward becomes 0. None: the training completions' mean.")
            base = policies.filter(run__algorithm=Run.Algorithm.SFT).first()
        else:
            base = policies.filter(run__algorithm=Run.Algorithm.SFT).first() if algorithm == "ppo" else None
            base = base or policies.filter(run=None).first()
        self.fields["base"].initial = base

    def clean_arguments(self) -> dict:
        text = self.cleaned_data["arguments"].strip()
        try:
            value = parse_json(text, where=_("the other arguments")) if text else {}
        except Refusal as refusal:
            raise forms.ValidationError(refusal.message) from None
        if not isinstance(value, dict):
            raise forms.ValidationError(
                _("This must be a JSON object, e.g. {value}.").format(value=json.dumps({"learning_rate": 1e-05}))
            )
        return value
