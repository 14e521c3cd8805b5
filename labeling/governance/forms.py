"""Forms of the prompt pages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.governance import personal_data
from labeling.governance.models import UNNAMED, Policy, PolicyRule
from labeling.intake.models import Split
from labeling.people.models import Sensitive


class ImportForm(forms.Form):
    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,
        help_text=_(
            "JSONL, CSV, TSV or Parquet, each also as .gz or .zst. Each line has prompt or messages, and may "
            "have user_id, source, external_id, consent, use_case and categories."
        ),
    )
    source = forms.CharField(
        max_length=100,
        required=False,
        label=_("Source"),
        help_text=_("For lines that name none, such as “support-mail”."),
        widget=forms.TextInput(attrs={"list": "sources"}),
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
    """A word on one prompt, from its page, where a reason is asked for, or from triage, where none need be given."""

    outcome = forms.ChoiceField(
        choices=[("release", _("Keep")), ("redact", _("Redact")), ("drop", _("Drop"))], label=_("Outcome")
    )
    reason = forms.CharField(max_length=300, label=_("Reason"), required=False)
    real = forms.TypedMultipleChoiceField(coerce=int, required=False)
    chosen = forms.BooleanField(required=False)  # that `real` was shown: none of them may be chosen
    blind = forms.UUIDField(required=False)
    next = forms.ChoiceField(choices=[("prompt", ""), ("prompt-triage", "")], required=False)
    after = forms.CharField(max_length=500, required=False)

    def __init__(self, data) -> None:
        super().__init__(data)
        self.fields["real"].choices = [
            (value, value) for value in data.getlist("real") if value.isascii() and value.isdigit()
        ][:1000]


class SampleForm(forms.Form):
    wanted = forms.IntegerField(
        min_value=1,
        max_value=10_000,
        initial=200,
        label=_("Prompts that passed"),
        help_text=_("They come mixed into triage, without any mark, among held ones without marks."),
    )


class PolicyForm(forms.Form):
    """A preset, or for each split what to do with all kinds and, where it differs, with one."""

    preset = forms.ChoiceField(choices=Policy.Preset.choices, label=_("What it is"), widget=forms.RadioSelect)
    hold_at = forms.FloatField(
        min_value=0.05,
        max_value=1,
        label=_("A finding counts from a score of"),
        help_text=_("0.05 to 1. A higher one finds less, and is more often right."),
    )
    note = forms.CharField(max_length=300, required=False, label=_("Note"), help_text=_("Why, for the record."))
    replaces = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        same = [("", _("as all other kinds")), *PolicyRule.Action.choices]
        for kind in ("", UNNAMED, *personal_data.KINDS):
            for split in Split.values:
                self.fields[f"{split}:{kind}"] = forms.ChoiceField(
                    choices=same if kind else PolicyRule.Action.choices, required=False
                )

    def rows(self):
        """For the table: (kind in words, its fields by split)."""
        named = {"": _("all other kinds"), UNNAMED: _("marked by a person"), **personal_data.KINDS}
        for kind, words in named.items():
            yield words, [(split, self[f"{split}:{kind}"]) for split in Split]

    def rules(self) -> dict[tuple[str, str], str]:
        """Those that were chosen."""
        pairs = ((name.split(":", 1), value) for name, value in self.cleaned_data.items() if ":" in name)
        return {(split, kind): value for (split, kind), value in pairs if value}
