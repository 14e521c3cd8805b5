"""What one sets about disagreement. The service holds the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.adjudication.models import MOST_SEATS, AdjudicationRequest, AdjudicationRule
from labeling.adjudication.services import REASON_CHARACTERS, Rule

TEAM = "team"


class RuleForm(forms.Form):
    policy = forms.ChoiceField(choices=AdjudicationRule.Policy.choices, label=_("Where labelers disagree"))
    threshold = forms.IntegerField(
        min_value=0,
        max_value=99,
        label=_("Threshold, percent"),
        help_text=_(
            "Of the pairs of completions that two labelers put in an order, how many they order in opposite ways, as a "
            "mean over the labelers of a task. More than this is acted upon."
        ),
    )
    seats = forms.IntegerField(min_value=1, max_value=MOST_SEATS, label=_("More labelers at a time"))
    most = forms.IntegerField(
        min_value=1,
        max_value=MOST_SEATS,
        label=_("More labelers in all"),
        help_text=_("Of one task, beyond the overlap of its batch."),
    )

    @staticmethod
    def of(rule: Rule) -> dict:
        return {name: getattr(rule, name) for name in ("policy", "threshold", "seats", "most")}


class BatchRuleForm(RuleForm):
    policy = forms.ChoiceField(
        choices=[(TEAM, _("as the team has it")), *AdjudicationRule.Policy.choices], label=_("Where labelers disagree")
    )


class SendForm(forms.Form):
    """One task, by hand."""

    to = forms.ChoiceField(choices=AdjudicationRequest.To.choices, widget=forms.RadioSelect, label=_("Send it to"))
    seats = forms.IntegerField(
        min_value=1, max_value=MOST_SEATS, initial=1, required=False, label=_("How many more labelers")
    )
    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        label=_("Why"),
        help_text=_("The team reads it; who decides reads it once they see the labelers’ answers. Labelers never do."),
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
    )

    def asked(self) -> dict:
        """What `send_by_hand` takes, of a valid form."""
        return self.cleaned_data | {"seats": self.cleaned_data["seats"] or 1}
