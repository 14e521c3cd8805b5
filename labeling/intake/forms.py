"""Forms of the pages about sources."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class SourceForm(forms.Form):
    name = forms.CharField(max_length=100, label=_("Name"), help_text=_("Such as “support-mail”."))
    terms_version = forms.CharField(
        max_length=100,
        required=False,
        label=_("Version of the consent terms"),
        help_text=_("Where there is one, no prompt goes in unless its writer agreed."),
    )
    rate_per_minute = forms.IntegerField(
        min_value=1,
        max_value=1_000_000,
        initial=600,
        label=_("Prompts a minute"),
        help_text=_("That programs may send."),
    )
    prompts_per_user = forms.IntegerField(
        min_value=1,
        max_value=1_000_000,
        initial=200,
        label=_("Prompts of one user"),
        help_text=_("What goes beyond stays out."),
    )
    train_percent = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=2, initial=80, label=_("Users for training, in percent")
    )
    valid_percent = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=2, initial=10, label=_("Users for validation, in percent")
    )
    test_percent = forms.DecimalField(
        min_value=0, max_value=100, decimal_places=2, initial=10, label=_("Users for the test, in percent")
    )

    def __init__(self, *arguments, fixed: bool = False, **named) -> None:
        """`fixed`: the source has users, so that what decides their splits is shown and stays."""
        super().__init__(*arguments, **named)
        if fixed:
            for name in ("name", "train_percent", "valid_percent", "test_percent"):
                self.fields[name].disabled = True


class KeyForm(forms.Form):
    name = forms.CharField(max_length=80, label=_("What will use it"))
