"""Forms of the people pages. They read fields; the services hold the rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.people.forms import RoleForm
from labeling.people.models import User
from labeling.people.services import REASON_CHARACTERS
from labeling.refusals import Refusal
from labeling.team.queries import Asked


class PeopleFilter(forms.Form):
    search = forms.CharField(max_length=80, required=False, label=_("Name starts with"))
    role = forms.ChoiceField(choices=[("", _("any role")), *User.Role.choices], required=False, label=_("Role"))
    group = forms.ChoiceField(choices=[("", _("any group")), *User.Group.choices], required=False, label=_("Group"))
    standing = forms.ChoiceField(
        choices=[("", _("all")), ("active", _("active")), ("paused", _("paused")), ("offboarded", _("offboarded"))],
        required=False,
        label=_("Account"),
    )
    unseen_days = forms.TypedChoiceField(
        choices=[
            ("", _("at any time")),
            ("3", _("not for 3 days")),
            ("7", _("not for a week")),
            ("30", _("not for 30 days")),
        ],
        coerce=int,
        empty_value=None,
        required=False,
        label=_("Last seen"),
    )
    sort = forms.ChoiceField(
        choices=[
            ("", _("by name")),
            ("seen", _("last seen first")),
            ("unseen", _("longest unseen first")),
            ("answers", _("most answers this week first")),
            ("active", _("most time this week first")),
            ("joined", _("newest first")),
        ],
        required=False,
        label=_("Order"),
    )

    def asked(self) -> Asked:
        """What the address asks for; Refusal for what is no choice."""
        if not self.is_valid():
            raise Refusal(_("One of the filters is none of its choices; take it out of the address."))
        return Asked(**self.cleaned_data)


class ChangeRoleForm(RoleForm):
    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        label=_("Why"),
        help_text=_("For the audit trail."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )


class OffboardForm(forms.Form):
    reason = forms.CharField(
        max_length=REASON_CHARACTERS,
        label=_("Why they leave"),
        help_text=_("For your team; the person does not read it."),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    confirmed = forms.BooleanField(label=_("Yes, end their access now"))
