"""Markdown that people wrote, as HTML that can do no harm."""

from __future__ import annotations

import re

from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# CommonMark and tables. HTML in the text stays text, links go nowhere that runs (javascript: and its like stay text,
# too), and there are no images: they would tell another server who reads.
READER = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "html_block", "html_inline"])


def to_html(text: str) -> SafeString:
    """`text` as HTML, everything escaped but what Markdown itself makes."""
    return mark_safe(READER.render(text))


def escape_markdown(text: str) -> str:
    """`text`, such as somebody's name, so that a Markdown text shows it as it is."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def _table_open(self, tokens, index, options, env) -> str:
    # A wide table scrolls by itself, also by keyboard, and not the page.
    return '<div class="table-wrap" tabindex="0"><table class="table">\n'


def _link_open(self, tokens, index, options, env) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return self.renderToken(tokens, index, options, env)


READER.add_render_rule("table_open", _table_open)
READER.add_render_rule("table_close", lambda self, tokens, index, options, env: "</table></div>\n")
READER.add_render_rule("link_open", _link_open)
