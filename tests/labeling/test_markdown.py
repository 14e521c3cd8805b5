"""Markdown that people wrote can do no harm."""

import pytest

from labeling.markdown import to_html


def test_what_markdown_makes():
    html = to_html("# A & B\n\nSay **no** to `<b>`\n\n- one\n- two\n\n| a | b |\n| --- | --- |\n| 1 | <i> |")
    for piece in (
        "<h1>A &amp; B</h1>",
        "<strong>no</strong>",
        "<code>&lt;b&gt;</code>",
        "<li>one</li>",
        "<td>&lt;i&gt;</td>",
    ):
        assert piece in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <img src=x onerror=alert(1)> b",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<javascript:alert(1)>",
        "![x](https://example.com/a.png)",
        '[x](https://example.com "onmouseover=alert(1)")',
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_hostile_text_stays_text(text):
    html = to_html(text)
    assert "<script" not in html and "<img" not in html and 'href="javascript' not in html and 'href="data' not in html


def test_links_tell_nobody_where_they_were():
    assert 'rel="noopener noreferrer nofollow"' in to_html("[x](https://example.com)")
