"""The page of a dialogue where its script does not run."""

from __future__ import annotations

from typing import Any

from django import template

from labeling.demos.services import speaker

register = template.Library()
# So many fields, or two more than there are turns.
FIELDS = 8


@register.simple_tag
def turn_fields(first: str, *said: Any) -> list[dict]:
    """A field for each turn, {"role", "content"}, filled with the first of `said` that says anything: a draft, as the
    page or a program left it, or an answer."""
    written = next(filter(None, map(_texts, said)), [])
    count = max(FIELDS, len(written) + 2)
    texts = written + [""] * (count - len(written))
    return [{"role": speaker(number, first=first), "content": text} for number, text in enumerate(texts, start=1)]


def _texts(said: Any) -> list[str]:
    if not isinstance(said, dict):
        return []
    turns = said.get("turns") if isinstance(said.get("turns"), list) else []
    found = [turn.get("content") for turn in turns if isinstance(turn, dict)] + [said.get("text")]
    return [text for text in found if isinstance(text, str)]
