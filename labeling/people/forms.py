"""Forms of the people pages. They read fields; the services hold the rules."""

from __future__ import annotations

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _

from labeling.people import services
from labeling.people.keys import COMMANDS, keys_in_use
from labeling.people.models import WORKING_CHOICES, Sensitive, User


def address_of(request) -> str:
    return request.META.get("REMOTE_ADDR", "")


class SignInForm(AuthenticationForm):
    """Django's form, which waits after many wrong passwords."""

    def clean(self) -> dict:
        username = self.cleaned_data.get("username") or ""
        services.check_sign_in_rate(username=username, address=address_of(self.request))
        try:
            return super().clean()
        except forms.ValidationError:
            services.note_failed_sign_in(username=username, address=address_of(self.request))
            raise


class RoleForm(forms.Form):
    role = forms.ChoiceField(choices=User.Role.choices, label=_("Role"))
    group = forms.ChoiceField(
        choices=WORKING_CHOICES,
        label=_("Group"),
        help_text=_(
            "Labelers are training or held-out; held-out labelers' answers never train a model. "
            "Researchers and admins are in the group researcher."
        ),
    )


class InvitationForm(RoleForm):
    group = forms.ChoiceField(
        choices=[choice for choice in WORKING_CHOICES if choice[0] != User.Group.SIMULATED],
        label=_("Group"),
        help_text=RoleForm.base_fields["group"].help_text,
    )
    days = forms.IntegerField(min_value=1, max_value=90, initial=7, label=_("Days until the link expires"))
    note = forms.CharField(
        max_length=120, required=False, label=_("Note"), help_text=_("For whom it is; only admins see it.")
    )


class JoinForm(forms.Form):
    username = forms.CharField(max_length=150, label=_("User name"))
    display_name = forms.CharField(
        max_length=80, required=False, label=_("Name to show"), help_text=_("May stay empty.")
    )
    password = forms.CharField(
        strip=False,
        max_length=1000,
        label=_("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 10 characters, and not a common one."),
    )


class TokenForm(forms.Form):
    name = forms.CharField(max_length=80, label=_("What will use it"))


class DisplayNameForm(forms.Form):
    display_name = forms.CharField(max_length=80, required=False, label=_("Name to show"))


class QuotaForm(forms.Form):
    quota = forms.IntegerField(
        min_value=1,
        max_value=services.MOST_A_DAY,
        required=False,
        label=_("Answers a day at most"),
        help_text=_("Empty for no limit. The day begins at midnight in the team's time zone."),
    )


class OptOutForm(forms.Form):
    categories = forms.MultipleChoiceField(
        choices=Sensitive.choices,
        required=False,
        label=_("I would rather not read"),
        widget=forms.CheckboxSelectMultiple,
    )


class KeysForm(forms.Form):
    """A field for each command, and whether letters alone do anything."""

    letter_keys = forms.BooleanField(
        required=False,
        label=_("Letters and signs are keys"),
        help_text=_("Turn this off where you speak to your computer or a screen reader uses the letters itself."),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        for command, (usual, label) in COMMANDS.items():
            self.fields[command] = forms.CharField(
                required=False,
                max_length=3,
                label=label,
                help_text=_("usually {key}").format(key=usual),
                widget=forms.TextInput(attrs={"size": 4, "autocapitalize": "none", "autocomplete": "off"}),
            )

    def chosen(self) -> dict[str, str]:
        return {command: self.cleaned_data[command] for command in COMMANDS}

    @staticmethod
    def of(user: User) -> dict[str, object]:
        return {**keys_in_use(user.keys), "letter_keys": user.letter_keys}


def figure(name: str, label: str, help_text: str) -> forms.IntegerField:
    least, most = services.FIGURES[name]
    return forms.IntegerField(min_value=least, max_value=most, label=label, help_text=help_text)


class TeamSettingsForm(forms.Form):
    lease_seconds = figure(
        "lease_seconds", _("Seconds a task is held"), _("Without a sign of life; working on it renews them.")
    )
    lease_grace_seconds = figure(
        "lease_grace_seconds", _("Seconds of grace"), _("After the time ran out, before the task is offered to others.")
    )
    ahead_seconds = figure(
        "ahead_seconds", _("Seconds for a task fetched ahead"), _("Until it goes back where nobody begins it.")
    )
    idle_seconds = figure(
        "idle_seconds", _("Seconds until idle"), _("Without a key or a move, time no longer counts as work.")
    )
    correction_hours = figure("correction_hours", _("Hours for corrections"), _("0 takes none."))
    survey_minimum = figure(
        "survey_minimum",
        _("Least number in a survey"),
        _("Fewer people than this are shown as no number, in rounds that are opened from now on."),
    )
    check_percent = figure(
        "check_percent",
        _("Hidden checks, in 100 tasks"),
        _("How many of a labeler's rankings are checks that researchers have answered, where one waits for them."),
    )
    check_anchor_days = figure(
        "check_anchor_days",
        _("Days until a check comes again"),
        _("To the same labeler, as an anchor: do they still judge as they did?"),
    )
    check_alert_percent = figure(
        "check_alert_percent",
        _("Least agreement with researchers, in percent"),
        _("Below this in a week an alert is raised, whatever is usual."),
    )
    time_zone = forms.CharField(
        max_length=60,
        label=_("Time zone"),
        help_text=_("Where a day begins for quotas and “today”, such as Europe/Berlin."),
    )
