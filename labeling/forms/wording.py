"""The words of the forms that come with Kwise, in the reader's language. What a team wrote stays as it wrote it."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.utils.translation import get_language, gettext

from labeling.forms.built_in import BUILT_IN

WORDS = ("label", "low_label", "high_label")
PARTS = ("completion", "prompt")


@cache
def built_in_words() -> frozenset[str]:
    fields = [field for _title, form in BUILT_IN.values() for part in PARTS for field in form[part]]
    titles = [title for title, _form in BUILT_IN.values()]
    return frozenset([*titles, *(field[name] for field in fields for name in WORDS if field.get(name))])


def in_language(text: str) -> str:
    """A title or label in the reader's language where it is one of Kwise's own, else itself."""
    return gettext(text) if text in built_in_words() else text


def form_in_language(definition: dict[str, Any]) -> dict[str, Any]:
    """`definition` with its labels in the reader's language; itself in English, in which it is stored."""
    if get_language() == settings.LANGUAGE_CODE:
        return definition
    return definition | {part: [_field_in_language(field) for field in definition[part]] for part in PARTS}


def _field_in_language(field: dict[str, Any]) -> dict[str, Any]:
    return field | {name: in_language(field[name]) for name in WORDS if field.get(name)}
