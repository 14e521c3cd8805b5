"""What a model folder must hold before anything is loaded from it. Standard library only.

A folder is in the Hugging Face layout: config.json, weights as safetensors, a tokenizer. Pickled weights are refused,
and so is code: neither the server nor the check ever runs anything out of a folder.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself
ITEM_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "F8_E4M3": 1, "F8_E5M2": 1, "I8": 1, "U8": 1, "BOOL": 1,
}  # fmt: skip


class ModelFolderError(ValueError):
    """A folder is not a complete, safe model; the message names the file and what to do."""


@dataclass(frozen=True)
class ModelFolder:
    """A checked folder. `kind` is "generate" for a language model, "score" for a reward model."""

    path: Path
    kind: str
    config: dict
    tensors: dict[str, tuple[int, ...]]  # name → shape
    reward_bias: float

    @property
    def architecture(self) -> str:
        return self.config["architectures"][0]


def check_model_folder(path: Path | str) -> ModelFolder:
    """The folder's description, read from its headers; raises ModelFolderError. Weights themselves are not read.

    Truncated weight files are found: each header says how long its file must be.
    """
    folder = Path(path)
    if "\x00" in str(path):
        raise ModelFolderError("the path of a model folder cannot hold a NUL byte")
    try:
        if not folder.is_dir():
            raise ModelFolderError(f"{folder} is not a folder on this machine")
        config = read_json(folder / "config.json")
        _check_config(folder, config)
        if (folder / "adapter_config.json").exists():
            raise ModelFolderError(f"{folder} is an adapter; merge it into its base model and save the whole")
        if not (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            raise ModelFolderError(f"{folder} has no tokenizer.json; save the tokenizer beside the weights")
        tensors: dict[str, tuple[int, ...]] = {}
        for file in _weight_files(folder):
            tensors |= read_header(file)
    except (OSError, UnicodeError) as error:
        raise ModelFolderError(f"{folder} cannot be read: {error}") from None
    if not tensors:
        raise ModelFolderError(f"{folder} has weight files without a tensor in them")
    architecture = config["architectures"][0]
    kind = "score" if "SequenceClassification" in architecture else "generate"
    return ModelFolder(folder, kind, config, tensors, _reward_bias(folder, config))


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Name → shape of the tensors of one safetensors file; ModelFolderError when it is cut short or no such file."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        start = handle.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 0 < length <= min(MAX_HEADER_BYTES, size - 8):
            raise ModelFolderError(f"{file} is not a safetensors file (or is cut short)")
        try:
            header = json.loads(handle.read(length))
            header.pop("__metadata__", None)
            shapes = {name: tuple(int(side) for side in entry["shape"]) for name, entry in header.items()}
            ends = [int(entry["data_offsets"][1]) for entry in header.values()]
            held = {name: entry["data_offsets"][1] - entry["data_offsets"][0] for name, entry in header.items()}
            wanted = {name: math.prod(shapes[name]) * ITEM_BYTES[entry["dtype"]] for name, entry in header.items()}
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            RecursionError,
        ) as error:
            raise ModelFolderError(f"{file} has a broken safetensors header: {type(error).__name__} {error}") from None
    if max(ends, default=0) + 8 + length != size or held != wanted:
        raise ModelFolderError(f"{file} does not hold what its header says: it was cut short or is being written")
    return shapes


def read_json(path: Path) -> dict:
    """The JSON object in a file; ModelFolderError where there is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelFolderError(f"{path} is missing: {path.parent} is no model in the Hugging Face layout") from None
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ModelFolderError(f"{path} is not a JSON object")
    return value


def _check_config(folder: Path, config: dict) -> None:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ModelFolderError(f"{folder / 'config.json'} names no architecture")
    if "auto_map" in config:
        raise ModelFolderError(
            f"{folder / 'config.json'} asks for code of its own (auto_map); Kwise runs no code out of model folders"
        )
    if not names[0].endswith(("ForCausalLM", "ForSequenceClassification", "LMHeadModel")):
        raise ModelFolderError(f"{folder} is a {names[0]}; language models and sequence classifiers can be served")


def _weight_files(folder: Path) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        pickled = [path.name for path in folder.glob("*.bin")] + [path.name for path in folder.glob("*.pt")]
        hint = f"; {pickled[0]} may hold a pickle and is never loaded, save it as safetensors" if pickled else ""
        raise ModelFolderError(f"{folder} has no model.safetensors{hint}")
    parts = read_json(index).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise ModelFolderError(f"{index} lists no weights")
    files = []
    for name in sorted({str(value) for value in parts.values()}):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise ModelFolderError(f"{index} names {name!r}, which is no safetensors file of this folder")
        if not (folder / name).is_file():
            raise ModelFolderError(f"{folder / name} is missing, though the index names it")
        files.append(folder / name)
    return files


def _reward_bias(folder: Path, config: dict) -> float:
    bias = config.get("reward_bias", 0.0)
    if isinstance(bias, bool) or not isinstance(bias, int | float) or not math.isfinite(bias):
        raise ModelFolderError(f"{folder / 'config.json'} has reward_bias {bias!r}; it must be a finite number")
    return float(bias)
