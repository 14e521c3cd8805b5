"""The words of the questionnaires in the reader's language. They are stored in English, version by version."""

from __future__ import annotations

from functools import cache

from django.utils.translation import gettext

from labeling.surveys import countries
from labeling.surveys.built_in import BUILT_IN


@cache
def built_in_words() -> frozenset[str]:
    words = {text for title, purpose, _versions in BUILT_IN.values() for text in (title, purpose)}
    for _title, _purpose, versions in BUILT_IN.values():
        for question in (question for version in versions for question in version["questions"]):
            words |= {question["label"], *(label for _value, label in question["options"])}
    return frozenset(words)


def in_language(text: str) -> str:
    """A title, question or answer of a questionnaire in the reader's language; one that left us stays as it was."""
    country = countries.in_language(text)
    if country is not None:
        return country
    return gettext(text) if text in built_in_words() else text


def title_of(name: str) -> str:
    """The title of a questionnaire, by its name."""
    return gettext(BUILT_IN[name][0]) if name in BUILT_IN else name
