"""The form that sends a message; the service holds its rules."""

from __future__ import annotations

import uuid

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.notices.services import GROUPS, KEY_CHARACTERS, TEXT_CHARACTERS, TITLE_CHARACTERS
from labeling.people.models import User


def audiences() -> list[tuple[str, str]]:
    groups = [(f"group:{group.value}", group.label) for group in User.Group if group in GROUPS]
    return [("all", _("Everyone who works on tasks")), *groups]


class NoticeForm(forms.Form):
    """To all or a group; with `to`, a person's id, to that one."""

    audience = forms.ChoiceField(
        choices=audiences,
        label=_("Goes to"),
        help_text=_("Those who work here now. Who joins later does not get it."),
    )
    title = forms.CharField(
        max_length=TITLE_CHARACTERS, label=_("Title"), widget=forms.TextInput(attrs={"dir": "auto"})
    )
    text = forms.CharField(
        max_length=TEXT_CHARACTERS,
        strip=False,
        label=_("Message"),
        help_text=_("Markdown: lists, tables, links, **strong**, *emphasis*, `code`. HTML stays text."),
        widget=forms.Textarea(attrs={"rows": 8, "dir": "auto"}),
    )
    important = forms.BooleanField(
        required=False,
        label=_("Important"),
        help_text=_("It stands at the top of the page “Work” until they say that they have read it."),
    )
    key = forms.CharField(max_length=KEY_CHARACTERS, widget=forms.HiddenInput)
    to = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(self, data=None, *, to: int | None = None) -> None:
        super().__init__(data, initial={"key": uuid.uuid4().hex, "to": to}, auto_id="message-%s")
        if to or (data is not None and data.get("to")):
            self.fields["audience"].required = False
            self.fields["audience"].widget = forms.HiddenInput()

    def asked(self) -> dict:
        """What `send_notice` takes, of a valid form."""
        said = dict(self.cleaned_data)
        audience, person = said.pop("audience"), said.pop("to")
        if person is not None:
            return {**said, "audience": "person", "person_id": person}
        kind, _colon, group = audience.partition(":")
        return {**said, "audience": kind, "group": group}
