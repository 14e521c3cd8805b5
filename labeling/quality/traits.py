"""What of a text may sway a reader beside what it says. Pure."""

from __future__ import annotations

import re

from labeling.demos.models import WORD

# What a reader sees formatted: headings, lists, quotations, tables, fenced and inline code, bold, links.
MARKDOWN = re.compile(
    r"""
      ^[ ]{0,3}(?: \#{1,6}[ ]\S | [-*+][ ]\S | \d{1,3}[.)][ ]\S | >[ ]?\S | \|.*\| | ```|~~~ )
    | \*\*\S(?:[^*\n]*\S)?\*\* | __\S(?:[^_\n]*\S)?__ | `[^`\n]+` | \[[^\]\n]+\]\([^)\s]+\)
    """,
    re.MULTILINE | re.VERBOSE,
)


def words_in(text: str) -> int:
    """As demonstrations are counted."""
    return sum(1 for _ in WORD.finditer(text))


def has_markdown(text: str) -> bool:
    return MARKDOWN.search(text) is not None
