"""The countries that a nationality can be of, by ISO 3166-1 code and in each language of the interface."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import get_language

FILE = Path(__file__).resolve().parent.parent / "content" / "countries.csv"


@cache
def _rows() -> list[dict[str, str]]:
    with FILE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def countries() -> list[tuple[str, str]]:
    """(code, English name) of each, by name."""
    return sorted(((row["code"], row["en"]) for row in _rows()), key=lambda row: row[1])


@cache
def names_in(language: str) -> dict[str, str]:
    """English name → name in `language`; in English where the file lacks it."""
    return {row["en"]: row.get(language) or row["en"] for row in _rows()}


def in_language(name: str) -> str | None:
    """The country whose English name this is, in the reader's language; None where it is no country's."""
    return names_in(get_language() or settings.LANGUAGE_CODE).get(name)
