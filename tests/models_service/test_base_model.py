"""The demo's base model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from models_service.base import BaseModelError, write_base_model


def test_it_is_an_ordinary_model_that_knows_things(base_model: Path):
    config = json.loads((base_model / "config.json").read_text())
    assert "quantization_config" not in config and config["architectures"] == ["LlamaForCausalLM"]
    assert config["pad_token_id"] == 0 and config["eos_token_id"] == 2
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (0, 2)
    text = "  naïve 日本 🙂\n\n123 "
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text
    model = AutoModelForCausalLM.from_pretrained(base_model).eval()
    assert model.dtype == torch.float32
    ids = torch.tensor([tokenizer("The capital of France is").input_ids])
    with torch.no_grad():
        best = model(input_ids=ids).logits[0, -1].argmax().item()
    assert tokenizer.decode([best]) == " Paris"


def test_a_complete_folder_is_left_alone(base_model: Path):
    before = (base_model / "model.safetensors").stat().st_mtime_ns
    assert write_base_model(base_model) is False
    assert (base_model / "model.safetensors").stat().st_mtime_ns == before


def test_another_folder_is_never_touched(tmp_path: Path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(BaseModelError, match="something else"):
        write_base_model(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]
    with pytest.raises(BaseModelError, match="is not a file"):
        write_base_model(tmp_path / "new", gguf=tmp_path / "absent.gguf")
    assert not (tmp_path / "new").exists()
