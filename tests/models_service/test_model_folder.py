"""What counts as a model folder."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from models_service.folders import ModelFolderError, check_model_folder
from tests.models_service.serving import BIAS


def edit(folder: Path, **changes) -> Path:
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_kinds_are_told_apart(tiny, tiny_reward):
    language, reward = check_model_folder(tiny), check_model_folder(tiny_reward)
    assert (language.kind, language.reward_bias) == ("generate", 0.0)
    assert (reward.kind, reward.reward_bias) == ("score", BIAS)
    assert reward.tensors["score.weight"] == (1, 64)


def test_a_pickle_is_not_weights(tiny, copy_of):
    folder = copy_of(tiny)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFolderError, match="never loaded"):
        check_model_folder(folder)


def test_code_of_its_own_and_adapters_are_refused(tiny, copy_of):
    folder = copy_of(tiny)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelFolderError, match="merge"):
        check_model_folder(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(ModelFolderError, match="auto_map"):
        check_model_folder(edit(folder, auto_map={"AutoModelForCausalLM": "evil.Model"}))


@pytest.mark.parametrize(
    "changes",
    [{"architectures": None}, {"architectures": []}, {"architectures": ["BertModel"]}, {"architectures": [5]},
     {"reward_bias": "high"}, {"reward_bias": True}, {"reward_bias": float("inf")}],
)  # fmt: skip
def test_a_config_of_something_else(tiny, copy_of, changes):
    with pytest.raises(ModelFolderError, match="config.json|BertModel"):
        check_model_folder(edit(copy_of(tiny), **changes))


def headers():
    yield "empty", b""
    yield "short", b"\x01"
    yield "huge header", struct.pack("<Q", 2**63) + b"{}"
    yield "no JSON", struct.pack("<Q", 4) + b"zzzz"
    deep = b"[" * 100_000
    yield "deep", struct.pack("<Q", len(deep)) + deep
    for entry in (
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
        {"dtype": "F99", "shape": [], "data_offsets": [0, 0]},
        {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]},
        {},
        [],
    ):
        header = json.dumps({"a": entry}).encode()
        yield str(entry), struct.pack("<Q", len(header)) + header


@pytest.mark.parametrize("name, data", list(headers()))
def test_weights_that_are_cut_or_broken(tiny, copy_of, name, data):
    folder = copy_of(tiny)
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelFolderError, match="model.safetensors"):
        check_model_folder(folder)


def test_shards_by_their_index(tiny, copy_of):
    folder = copy_of(tiny)
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert check_model_folder(folder).tensors == check_model_folder(tiny).tensors
    for name in ("../model-1.safetensors", "model-1.bin", "model-2.safetensors", "/etc/passwd.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises(ModelFolderError):
            check_model_folder(folder)
