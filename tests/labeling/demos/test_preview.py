from __future__ import annotations

import pytest

from labeling.demos.services import TEXT_CHARACTERS


def test_markdown_comes_back_as_harmless_html(ada, api):
    text = "**a** <script>alert(1)</script> [x](javascript:alert(1)) ![i](https://x.example/i.png)"
    html = api(ada).post("/api/v1/preview/", {"text": text}, format="json").json()["html"]
    assert html.startswith("<p><strong>a</strong> &lt;script&gt;")
    assert "<img" not in html and 'href="javascript' not in html


@pytest.mark.parametrize("body", [{}, {"text": 5}, {"text": None}, {"text": "x", "more": 1}, {"text": "x" * 100_001}])
def test_what_cannot_be_shown_is_refused_with_a_sentence(ada, api, body):
    answer = api(ada).post("/api/v1/preview/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith(".")


def test_longest_text_is_shown(bo, api):
    text = "[" * TEXT_CHARACTERS  # as slow as Markdown gets
    assert api(bo).post("/api/v1/preview/", {"text": text}, format="json").status_code == 200
