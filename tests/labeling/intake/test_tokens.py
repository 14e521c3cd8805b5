from __future__ import annotations

import pytest

from labeling.intake.tokens import count_tokens


def count(text: str, **extra) -> int:
    return count_tokens([{"role": "user", "content": text}], **extra)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("word", 1),
        ("two words", 2),
        ("two  words\n", 4),
        ("extraordinarily", 2),
        ("in 1998", 5),
        ("x_1 != y", 5),
        ("straße", 3),
        ("日本", 2),
        ("👍", 2),
    ],
)
def test_rule_by_hand(text, tokens):
    assert count(text) == tokens


def test_messages_add_up_and_short_ones_are_not_counted():
    assert count_tokens([{"content": "one two"}, {"content": "three"}]) == 3
    assert count("one two", until=7) == 7 and count("one two", until=6) == 2


def test_rule_is_near_what_a_tokenizer_counts(shared_data):
    """SmolLM2's tokenizer counts 80,893 tokens in the texts of which these prompts are a part; the rule 2 % more."""
    import json

    texts = [json.loads(line)["prompt"] for line in (shared_data / "prompts_oasst.jsonl").open()]
    assert sum(count(text) for text in texts) == pytest.approx(sum(len(text) for text in texts) / 4.5, rel=0.15)
