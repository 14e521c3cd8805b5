from __future__ import annotations

import hashlib
from collections import Counter

import pytest

from labeling.intake.reading import Problem
from labeling.intake.services import read_prompt, split_of


def reason(row) -> str:
    found = read_prompt(row)
    assert isinstance(found, Problem), row
    assert found.detail
    return found.reason


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, "no_prompt"),
        ({"prompt": None}, "no_prompt"),
        ({"prompt": ""}, "empty"),
        ({"prompt": 7}, "wrong_type"),
        ({"prompt": ["a"]}, "wrong_type"),
        ({"prompt": "a", "messages": []}, "wrong_type"),
        ({"messages": []}, "empty"),
        ({"messages": "hi"}, "wrong_type"),
        ({"messages": {"role": "user"}}, "wrong_type"),
        ({"messages": ["hi"]}, "wrong_type"),
        ({"messages": [{"role": "user"}]}, "wrong_type"),
        ({"messages": [{"role": "user", "content": None}]}, "wrong_type"),
        ({"messages": [{"role": "user", "content": ""}]}, "empty"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "unknown_role"),
        ({"messages": [{"role": ["user"], "content": "a"}]}, "unknown_role"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "last_not_user"),
        ({"messages": [{"role": "user", "content": "a"}] * 201}, "too_long"),
        ({"prompt": "a" * 100_001}, "too_long"),
        ({"prompt": "a\x00"}, "bad_text"),
        ({"prompt": "\udfff"}, "bad_text"),
        ({"prompt": "a", "source": "\x00"}, "bad_text"),
        ({"prompt": "a", "source": "s" * 101}, "too_long"),
        ({"prompt": "a", "user_id": "u" * 201}, "too_long"),
        ({"prompt": "a", "user_id": True}, "wrong_type"),
        ({"prompt": "a", "user_id": 1.5}, "wrong_type"),
        ({"prompt": "a", "user_id": {"id": 1}}, "wrong_type"),
        ({"prompt": "a", "external_id": 2**70}, "wrong_type"),
        ({"prompt": "a", "use_case": "cooking"}, "unknown_use_case"),
        ({"prompt": "a", "categories": ["cooking"]}, "unknown_category"),
        ({"prompt": "a", "categories": 5}, "wrong_type"),
        ({"prompt": "a", "categories": [5]}, "wrong_type"),
        ({"prompt": "a", "consent": False}, "no_consent"),
        ({"prompt": "a", "consent": "no"}, "no_consent"),
        ([], "not_an_object"),
        (None, "not_an_object"),
        ("text", "not_an_object"),
    ],
)
def test_row_that_is_no_prompt_has_a_reason(row, expected):
    assert reason(row) == expected


def test_text_is_kept_to_the_byte():
    text = " \t a\r\nb\u200b\u202e e\u0301 \ufeff "
    assert read_prompt({"prompt": text}).messages == [{"role": "user", "content": text}]


def test_white_space_alone_is_text():
    assert read_prompt({"prompt": " "}).messages[0]["content"] == " "


def test_optional_fields_have_defaults():
    found = read_prompt({"prompt": "a", "user_id": 7, "use_case": "Open QA", "consent": True}, source="mail")
    assert (found.source, found.user_id, found.use_case, found.consent) == ("mail", "7", "open_qa", "yes")
    assert read_prompt({"prompt": "a"}).categories == []
    assert read_prompt({"prompt": "a", "categories": "Violence, hate,"}).categories == ["hate", "violence"]
    assert read_prompt({"prompt": "a", "categories": ["hate", "hate"]}).categories == ["hate"]
    assert read_prompt({"prompt": "a"}).source == "unnamed"
    assert read_prompt({"prompt": "a", "source": " api "}, source="mail").source == "api"


def test_hash_is_over_canonical_messages():
    row = {"messages": [{"content": "é", "role": "user", "name": "left out"}]}
    canonical = '[{"content":"é","role":"user"}]'.encode()
    assert read_prompt(row).text_sha256 == hashlib.sha256(canonical).hexdigest()


def test_split_hangs_on_source_and_user_alone():
    assert {split_of(source="a", user_id="u") for _ in range(5)} == {split_of(source="a", user_id="u")}
    # Without the length in front these two would be one.
    assert len({split_of(source="a" * n, user_id="a" * (40 - n)) for n in range(40)}) > 1


def test_splits_come_in_their_ratios():
    counts = Counter(split_of(source="s", user_id=str(number)) for number in range(5000))
    assert counts["train"] / 5000 == pytest.approx(0.8, abs=0.03)
    assert counts["valid"] / 5000 == pytest.approx(0.1, abs=0.02)


def test_split_follows_the_salt(settings):
    before = [split_of(source="s", user_id=str(number)) for number in range(200)]
    settings.PROJECT_SALT = "another"
    assert before != [split_of(source="s", user_id=str(number)) for number in range(200)]
