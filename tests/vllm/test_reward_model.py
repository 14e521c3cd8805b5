"""A reward model in a real vLLM server: our client's scores are transformers'."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models_service import publishing
from models_service.client import ModelClient, ModelRefused
from tests.models_service.serving import write_reward
from tests.vllm.running import running_vllm

ITEMS = [
    {"messages": [{"role": "user", "content": question}], "completion": answer}
    for question, answer in (
        ("Name three colours.", "Red, green and blue."),
        ("Name three colours.", ""),
        ("Name three colours.", " I will not.\n\n"),
        ("Why is the sky blue?", "Because short waves scatter more. " * 8),
    )
]


@pytest.fixture(scope="module")
def rewards(base_model: Path, tmp_path_factory) -> list[Path]:
    """Two reward models: SmolLM2 with random heads."""
    folder = tmp_path_factory.mktemp("rewards")
    return [write_reward(folder / str(seed), base_model, seed=seed) for seed in (1, 2)]


@pytest.fixture(scope="module")
def vllm(rewards: list[Path], tmp_path_factory):
    with running_vllm(tmp_path_factory.mktemp("vllm-reward"), rewards[0]) as server:
        yield server


def expected(folder: Path) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    scores = []
    for item in ITEMS:
        ids = tokenizer.apply_chat_template(
            item["messages"], add_generation_prompt=True, tokenize=True, return_dict=False
        )
        ids = ids + tokenizer(item["completion"], add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
        with torch.no_grad():
            scores.append(model(input_ids=torch.tensor([ids])).logits[0, 0].item())
    return scores


def test_scores_are_those_of_transformers_before_and_after_publishing(vllm, rewards):
    with ModelClient(vllm.url, tries=2) as client:
        first = expected(rewards[0])
        assert client.score("served", ITEMS) == pytest.approx(first, abs=1e-4)
        assert client.score("served", ITEMS[2:3]) == pytest.approx(first[2:3], abs=1e-4)
        with pytest.raises(ModelRefused):
            client.score("served", [ITEMS[0], ITEMS[0] | {"completion": "long " * 1000}])
        assert publishing.publish(vllm.url, "new", rewards[1]) == "served"
        second = expected(rewards[1])
        assert client.score("served", ITEMS) == pytest.approx(second, abs=1e-4)
        assert first != pytest.approx(second, abs=1e-2)
