"""The form that publishes guidelines; the service holds its rules."""

from __future__ import annotations

from django import forms

from labeling.guidelines.services import TEXT_CHARACTERS, TITLE_CHARACTERS


class GuidelineForm(forms.Form):
    title = forms.CharField(max_length=TITLE_CHARACTERS, label="Title")
    text = forms.CharField(
        max_length=TEXT_CHARACTERS,
        strip=False,
        label="Text",
        help_text="Markdown: headings, lists, tables, **strong**, *emphasis*, `code`. HTML stays text.",
        widget=forms.Textarea(attrs={"rows": 22, "dir": "auto"}),
    )
