"""How Kwise starts vLLM: the options without which sampling, scoring or publishing goes wrong. Plain Python."""

from __future__ import annotations

import shutil
from pathlib import Path

from models_service.folders import ModelFolderError, check_model_folder

DRAIN_SECONDS = 60  # without it, SIGTERM leaves clients waiting for an answer that never comes
CPU_CACHE_GIB = 1


class VllmError(Exception):
    """vLLM cannot be started like this; the message says why."""


def command(
    *, python: str | Path, name: str, folder: Path, host: str, port: int, context: int, cpu: bool
) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment of a vLLM 0.32 server for one model; VllmError where something is missing.

    `python` is one that has vLLM installed. Reward models get the pooling runner.
    """
    program = shutil.which(str(python))
    if program is None:
        raise VllmError(f"there is no {python}; set up vLLM's environment as models_service/vllm-requirements.txt says")
    try:
        model = check_model_folder(folder.absolute())
    except ModelFolderError as error:
        raise VllmError(str(error)) from None
    argv = [program, "-m", "vllm.entrypoints.openai.api_server"]
    argv += ["--model", str(model.path), "--served-model-name", name, "--host", host, "--port", str(port)]
    argv += ["--max-model-len", str(context), "--shutdown-timeout", str(DRAIN_SECONDS)]
    environment = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_SERVER_DEV_MODE": "1",  # the routes that exchange weights
    }
    if model.kind == "score":
        argv += ["--runner", "pooling"]
    if cpu:
        # A seeded prompt that is prefilled in parts stops a CPU server for good, so prompts are prefilled whole.
        argv += ["--dtype", "float32", "--enforce-eager"]
        argv += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", str(max(2048, context))]
        environment["VLLM_CPU_KVCACHE_SPACE"] = str(CPU_CACHE_GIB)
    return argv, environment
