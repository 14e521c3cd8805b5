"""Forms of the prompt pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.people.models import Sensitive


class ImportForm(forms.Form):
    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        help_text=_(
            "JSONL, CSV, TSV (each also as .gz) or Parquet. Each line has prompt or messages, and may "
            "have user_id, source, external_id, consent, use_case and categories."
        ),
    )
    source = forms.CharField(
        max_length=100,
        required=False,
        label=_("Source"),
        help_text=_("For lines that name none, such as “support-mail”."),
    )


class CategoriesForm(forms.Form):
    categories = forms.MultipleChoiceField(
        choices=Sensitive.choices,
        required=False,
        label=_("It is about"),
        help_text=_("Labelers see it veiled until they ask, and it goes to nobody who opted out."),
        widget=forms.CheckboxSelectMultiple,
    )


class DecisionForm(forms.Form):
    outcome = forms.ChoiceField(choices=[("release", _("Release")), ("drop", _("Drop"))], label=_("Outcome"))
    reason = forms.CharField(max_length=300, label=_("Reason"))
    next = forms.ChoiceField(choices=[("prompt", ""), ("prompt-triage", "")], required=False)
