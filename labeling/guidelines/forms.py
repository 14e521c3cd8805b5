"""The form that publishes guidelines; the service holds its rules."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from labeling.guidelines.services import TEXT_CHARACTERS, TITLE_CHARACTERS


class GuidelineForm(forms.Form):
    title = forms.CharField(max_length=TITLE_CHARACTERS, label=_("Title"))
    text = forms.CharField(
        max_length=TEXT_CHARACTERS,
        strip=False,
        label=_("Text"),
        help_text=_("Markdown: headings, lists, tables, **strong**, *emphasis*, `code`. HTML stays text."),
        widget=forms.Textarea(attrs={"rows": 22, "dir": "auto"}),
    )
