import json

import pytest

from labeling.refusals import Refusal
from labeling.text import BadText, check_json, check_text, parse_json


@pytest.mark.parametrize("text", ["", " kept \n", "\t\r\n", "Ω≈ç√", "👾 🙇", "\ufeff", "‮abc", "e\u0301 is not é"])
def test_text_that_can_be_stored_comes_back_to_the_byte(text):
    assert check_text(text, where="x") is text


@pytest.mark.parametrize("text, words", [("a\x00b", "NUL"), ("a\ud800", r"U\+D800"), ("\udfff", r"U\+DFFF")])
def test_text_that_cannot_be_stored_is_named_with_its_place(text, words):
    with pytest.raises(BadText, match=words) as refusal:
        check_text(text, where="the field answer")
    assert "the field answer" in str(refusal.value)


@pytest.mark.parametrize(
    "body, words",
    [
        ("[" * 100_000 + "]" * 100_000, "nested"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nested"),
        ("[" * 80 + "]" * 80, "nested"),
        ('{"a": 9223372036854775808}', "64 bits"),
        ('{"a": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"a": NaN}', "finite"),
        ('{"a": 1e999}', "finite"),
        ('{"a\\u0000": 1}', "NUL"),
        ('{"a": ["x", "\\ud800"]}', r"U\+D800"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_json_that_cannot_be_stored_is_refused_with_a_sentence(body, words):
    with pytest.raises(Refusal, match=words):
        parse_json(body)


def test_the_path_of_the_bad_value_is_named():
    with pytest.raises(BadText) as refusal:
        check_json({"messages": [{"content": "a\x00"}]})
    assert "the body.messages[0].content" in str(refusal.value)


def test_largest_and_smallest_integers_are_kept():
    body = json.dumps([2**63 - 1, -(2**63)])
    assert parse_json(body) == [2**63 - 1, -(2**63)]
