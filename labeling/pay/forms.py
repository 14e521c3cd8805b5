"""Forms of the pay pages. They read fields; the services hold the rules. Amounts are text until `read_amount`."""

from __future__ import annotations

import uuid

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.pay import queries, services
from labeling.pay.money import CURRENCIES, read_amount
from labeling.refusals import Refusal


def day_field(label: str, *, help_text: str = "", required: bool = True) -> forms.DateField:
    return forms.DateField(
        label=label,
        help_text=help_text,
        required=required,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


def amount_field(label: str, *, help_text: str = "", required: bool = True) -> forms.CharField:
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, required=required, max_length=20, widget=widget)


def text_field(label: str, *, help_text: str = "", most: int = services.REASON_CHARACTERS, required: bool = True):
    widget = forms.TextInput(attrs={"dir": "auto", "autocomplete": "off"})
    return forms.CharField(label=label, help_text=help_text, max_length=most, required=required, widget=widget)


def area_field(label: str, *, help_text: str = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 3, "dir": "auto"})
    return forms.CharField(label=label, help_text=help_text, max_length=services.TEXT_CHARACTERS, widget=widget)


def minutes_field(label: str, *, help_text: str) -> forms.IntegerField:
    most = services.MOST_SECONDS // 60
    return forms.IntegerField(label=label, help_text=help_text, min_value=-most, max_value=most, required=False)


class PeriodForm(forms.Form):
    since = day_field(_("From"), required=False)
    until = day_field(_("Until"), required=False)

    def asked(self) -> queries.Period:
        """The period in the address; Refusal for what is no day."""
        if not self.is_valid():
            raise Refusal(_("`since` and `until` must be days, such as 2026-01-31; take them out of the address."))
        return queries.read_period(self.cleaned_data["since"], self.cleaned_data["until"])


class AskForm(forms.Form):
    day = day_field(_("Day"))
    minutes = minutes_field(
        _("Minutes that are missing"),
        help_text=_("To have them entered. With a minus in front: minutes too many. Empty to ask a question."),
    )
    text = area_field(_("Your question, or what happened"), help_text=_("The admins of your team read it."))

    def __init__(self, *args, about_entry: bool = False, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if about_entry:
            del self.fields["day"]


class RateForm(forms.Form):
    valid_from = day_field(_("From"), help_text=_("It holds until the day of the next rate."))
    per_hour = amount_field(
        _("For an hour"), required=False, help_text=_("Such as 18.50. Empty for no rate from this day on.")
    )

    def rate(self, currency: str) -> int | None:
        text = self.cleaned_data["per_hour"]
        return read_amount(text, currency, name=_("A rate")) if text.strip() else None


class ChangeForm(forms.Form):
    """Time or an amount, and why."""

    minutes = minutes_field(_("Minutes"), help_text=_("At the rate of the day. With a minus in front to take away."))
    amount = amount_field(_("Or an amount"), required=False, help_text=_("With a minus in front to take away."))
    reason = text_field(_("Why"), help_text=_("The person reads it."))

    def change(self, currency: str) -> dict[str, int | None]:
        minutes, text = self.cleaned_data["minutes"], self.cleaned_data["amount"]
        amount = read_amount(text, currency, name=_("The amount")) if text.strip() else None
        return {"seconds": None if minutes is None else 60 * minutes, "amount": amount}


def new_key() -> str:
    return str(uuid.uuid4())


class CorrectionForm(ChangeForm):
    day = day_field(_("Day"))
    key = forms.CharField(widget=forms.HiddenInput, required=False, max_length=services.KEY_CHARACTERS)
    field_order = ("day", "minutes", "amount", "reason", "key")


class PaymentForm(forms.Form):
    amount = amount_field(_("Amount"))
    reference = text_field(
        _("Reference"), most=services.REFERENCE_CHARACTERS, help_text=_("As the bank or the payroll has it.")
    )
    period_from = day_field(_("For the days from"))
    period_until = day_field(_("Until"))
    paid_on = day_field(_("Paid on"))
    note = text_field(_("Note"), required=False, help_text=_("The person reads it."))

    def payment(self, currency: str) -> dict:
        return {**self.cleaned_data, "amount": read_amount(self.cleaned_data["amount"], currency, name=_("The amount"))}


class SettingsForm(forms.Form):
    currency = forms.ChoiceField(
        choices=[(code, code) for code in sorted(CURRENCIES)],
        label=_("Currency"),
        help_text=_("It stays once there is a rate or an entry."),
    )
    floor = amount_field(
        _("Least for an hour"),
        required=False,
        help_text=_("Pages warn where somebody's active time comes to less. Empty for none."),
    )


class AnswerForm(forms.Form):
    text = area_field(_("Answer"))


class DeclineForm(forms.Form):
    text = area_field(_("Why not"), help_text=_("The person reads it."))
