"""From a checked folder to a tokenizer and weights. Nothing in a folder is run: no remote code, no pickle."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from models_service.folders import ModelFolder, ModelFolderError, check_model_folder, read_json
from models_service.generation import prepare_for_sampling

transformers_logging.disable_progress_bar()


@dataclass(eq=False)
class Served:
    """A model under a name. Its tokenizer stays in memory; `weights` come and go. A new version is another object."""

    name: str
    folder: ModelFolder
    tokenizer: Any
    eos_ids: frozenset[int]
    pad_id: int
    context: int  # tokens of prompt and answer together
    longest_token: int  # characters: a text longer than context × this cannot fit
    created: int  # seconds since 1970
    published: bool  # by the admin route, so kept in the registry
    last_used: float = 0.0  # seconds of the monotonic clock
    retired: bool = False  # replaced or withdrawn: its weights go as soon as they are idle
    weights: torch.nn.Module | None = field(default=None, repr=False)
    encoding: threading.Lock = field(default_factory=threading.Lock, repr=False)  # tokenizers are not re-entrant

    @property
    def kind(self) -> str:
        return self.folder.kind


def describe(name: str, path: Path, *, created: int, published: bool) -> Served:
    """Check the folder and read its tokenizer, without the weights; raises ModelFolderError."""
    folder = check_model_folder(path)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the reader of foreign files raises anything
        raise ModelFolderError(f"the tokenizer in {path} cannot be read: {_short(error)}") from None
    if tokenizer.eos_token_id is None:
        raise ModelFolderError(f"the tokenizer in {path} has no EOS token, so no answer would end")
    config = folder.config
    ends = [tokenizer.eos_token_id, config.get("eos_token_id")]
    if (folder.path / "generation_config.json").is_file():
        ends.append(read_json(folder.path / "generation_config.json").get("eos_token_id"))
    flat = [token for value in ends for token in (value if isinstance(value, list) else [value])]
    context = config.get("max_position_embeddings") or config.get("n_positions") or 2048
    return Served(
        name=name,
        folder=folder,
        tokenizer=tokenizer,
        eos_ids=frozenset(token for token in flat if isinstance(token, int)),
        pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
        context=context,
        longest_token=max((len(token) for token in tokenizer.get_vocab()), default=1),
        created=created,
        published=published,
    )


def read_weights(served: Served, *, device: str, dtype: str) -> torch.nn.Module:
    """The model, ready to sample or score; ModelFolderError where weights are missing or do not fit."""
    kind = AutoModelForCausalLM if served.kind == "generate" else AutoModelForSequenceClassification
    try:
        model, info = kind.from_pretrained(
            served.folder.path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype if dtype == "auto" else getattr(torch, dtype),
            output_loading_info=True,
        )
    except Exception as error:  # the reader of foreign files raises anything
        raise ModelFolderError(f"{served.folder.path} cannot be loaded: {_short(error)}") from None
    if info["missing_keys"] or info["mismatched_keys"]:
        wrong = sorted(map(str, [*info["missing_keys"], *info["mismatched_keys"]]))
        raise ModelFolderError(f"{served.folder.path} lacks weights of its architecture: {', '.join(wrong[:5])}")
    if served.kind == "score" and (model.config.num_labels != 1 or not hasattr(model, "score")):
        raise ModelFolderError(f"{served.folder.path} is no reward model: it must have one label and a head `score`")
    model.requires_grad_(False).to(device)
    prepare_for_sampling(model)
    return model


def forget_weights(served: Served) -> None:
    served.weights = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
