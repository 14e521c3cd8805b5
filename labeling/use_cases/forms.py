"""Forms of the pages of use cases."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.intake.models import UseCase
from labeling.use_cases.models import UseCaseTarget


class TargetForm(forms.Form):
    """The mix aimed at, per cent of each use case."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for name, label in UseCase.choices:
            self.fields[name] = forms.FloatField(min_value=0, max_value=100, label=label)
        self.fields["suggestions"] = forms.ChoiceField(
            choices=UseCaseTarget.Shown.choices,
            label=_("Show what the classifier suggests"),
            help_text=_("Before the answer it is quicker, but people follow it: such answers measure nothing."),
        )
        self.fields["note"] = forms.CharField(
            max_length=300, required=False, label=_("Note"), help_text=_("Why, for the record.")
        )
        self.fields["replaces"] = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def target(self) -> dict:
        """The arguments of `set_target`."""
        given = self.cleaned_data
        return {
            "shares": {name: given[name] for name in UseCase.values},
            **{name: given[name] for name in ("suggestions", "note", "replaces")},
        }
