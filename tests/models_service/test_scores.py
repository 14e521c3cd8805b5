"""/score of a real server against transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models_service.client import ModelRefused
from tests.models_service.serving import BIAS

ITEMS = [
    {"messages": [{"role": "user", "content": "the cat"}], "completion": "sat on the mat"},
    {"messages": [{"role": "user", "content": "the cat"}], "completion": ""},
    {"messages": [{"role": "user", "content": "the dog ran to the red house"}], "completion": " and\n the cat" * 5},
    {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ],
        "completion": "<|im_end|>",
    },
]


def test_scores_are_the_logits_of_transformers(client, tiny_reward: Path):
    tokenizer = AutoTokenizer.from_pretrained(tiny_reward)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_reward, dtype=torch.float32).eval()
    expected = []
    for item in ITEMS:
        ids = tokenizer.apply_chat_template(
            item["messages"], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        ids = ids + tokenizer(item["completion"], add_special_tokens=False).input_ids + [2]
        with torch.no_grad():
            expected.append(model(input_ids=torch.tensor([ids])).logits[0, 0].item())
    assert client.score("reward", ITEMS) == pytest.approx(expected, abs=1e-4)
    answer = client.call("POST", "/score", {"model": "reward", "items": ITEMS})
    assert answer["normalised"] == pytest.approx([score - BIAS for score in expected], abs=1e-4)


def test_alone_as_in_a_batch_of_many(client):
    alone = [client.score("reward", [item])[0] for item in ITEMS]
    assert client.score("reward", ITEMS * 20) == pytest.approx(alone * 20, abs=1e-5)
    assert client.score("reward", []) == []


def test_each_kind_of_model_does_its_own_work(client):
    with pytest.raises(ModelRefused, match="writes answers"):
        client.score("smol", ITEMS)
    with pytest.raises(ModelRefused, match="scores answers"):
        client.chat("reward", ITEMS[0]["messages"])


def test_an_item_that_is_too_long_is_named(client):
    long = {"messages": ITEMS[0]["messages"], "completion": "cat " * 1000}
    with pytest.raises(ModelRefused, match=r"items\[1\] has \d+ tokens.*512"):
        client.score("reward", [ITEMS[0], long])
