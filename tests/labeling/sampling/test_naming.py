"""Which names are found in a text, and where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.sampling.naming import BUILT_IN, Finder, names_of_model, normal


def found(text: str, *terms: str) -> list[str]:
    return [text[name.start : name.end] for name in Finder(terms).find(text)]


@pytest.mark.parametrize(
    "text",
    [
        "GPT-4",
        "gpt 4",
        "GPT\u20114!",
        "(gpt_4)",
        "GPT -\n4.",
        "ＧＰＴ-４",
        "GPT-4's",
        "我是GPT-4模型",
        "GPT-4는",
        "G\u200bPT-4",
    ],
)
def test_a_name_is_found_however_it_is_written(text):
    assert len(found(text, "GPT-4")) == 1


@pytest.mark.parametrize("text", ["GPT-40", "GPT-4o", "xGPT-4", "GPT4", "GPT.4", "ÉGPT-4", "GPT-4é", ""])
def test_a_part_of_a_word_is_no_name(text):
    assert found(text, "GPT-4") == []


def test_spans_count_code_points_of_the_text_as_stored():
    text = "🙂 Ich bin e\u0301 ＯｐｅｎＡＩ\u200d, ja"
    assert found(text, "OpenAI", "é") == ["e\u0301", "ＯｐｅｎＡＩ"]


def test_of_names_that_overlap_the_longest_counts():
    assert found("I am SmolLM2-135M-Instruct.", "SmolLM2", "SmolLM2-135M-Instruct") == ["SmolLM2-135M-Instruct"]


def test_typed_apostrophes_are_all_the_same():
    assert found("I’m Claude", "I'm Claude") == ["I’m Claude"]


@pytest.mark.parametrize(
    "text",
    ["Claude Monet painted this.", "A llama and an alpaca.", "Gemini is a sign.", "The mistral blows.", "A bard sang."],
)
def test_words_that_are_also_names_are_no_names_by_themselves(text):
    assert found(text, *BUILT_IN) == []


@pytest.mark.parametrize(
    "text",
    ["As ChatGPT, made by OpenAI, I", "I am SmolLM", "I'm Claude, made by", "My name is Gemini.", "by Alibaba  Cloud"],
)
def test_who_introduces_themselves_is_found(text):
    assert found(text, *BUILT_IN)


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", ["SmolLM2-135M-Instruct", "SmolLM2", "SmolLM"]),
        ("gpt-4", ["gpt-4", "gpt"]),
        ("qwen2.5:7b", ["qwen2.5:7b", "qwen2.5", "qwen"]),
        ("ppo-1124-101500", ["ppo-1124-101500"]),
        ("policy", []),
        ("/", []),
    ],
)
def test_a_model_is_called_by_its_file_and_its_family(model, names):
    assert names_of_model(model) == names


def test_no_built_in_term_stands_twice():
    assert len({normal(term) for term in BUILT_IN}) == len(BUILT_IN)


def test_nothing_is_found_without_terms():
    assert Finder([]).find("GPT-4") == Finder(["", " - "]).find("GPT-4") == []


@given(st.text(), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_and_term_can_be_compared(text, terms):
    last = 0
    for name in Finder(terms).find(text):
        assert 0 <= name.start < name.end <= len(text)
        assert normal(name.term) in normal(text[name.start : name.end])
        assert name.start >= last - 1
        last = name.start


@given(st.text(max_size=20), st.sampled_from(["OpenAI", "GPT-4", "通义千问", "I'm Claude"]), st.text(max_size=20))
def test_a_name_between_spaces_is_always_found(before, term, after):
    assert any(normal(part) == normal(term) for part in found(f"{before} {term} {after}", term))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ask ChatGPT", "Ask "),
        ("Ask Chat", "Ask "),
        ("Ask Ch", "Ask "),
        ("Ask Char", "Ask Char"),
        ("Ask  Google   De", "Ask  "),
        ("Ask Google  Maps", "Ask Google  Maps"),
        ("I am not", "I am not"),
        ("So I am", "So "),
        ("Ｃｈａ", ""),
        ("我是Chat", "我是"),
        ("PChat", "PChat"),
        ("Chat" + " " * 50, ""),
        ("", ""),
    ],
)
def test_what_may_grow_into_a_name_is_told_apart(text, shown):
    finder = Finder(["ChatGPT", "Chat GPT", "Google DeepMind", "I am Claude"])
    assert text[: finder.open_from(text)] == shown


def test_no_beginning_of_a_name_is_final_however_the_text_grows():
    finder = Finder(BUILT_IN)
    text = "Well, as I said, I am Claude. Chatting with Chat GPT or GPT-4o, or a llama; Llama 3 at last: Meta AI"
    first = min(name.start for name in finder.find(text))
    for end in range(len(text)):
        before = text[:end]
        if not any(name.end < end for name in finder.find(before)):
            assert finder.open_from(before) <= first
