"""A real vLLM server on this machine's CPU, from its own environment and in its own process group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from models_service.vllm import command
from tests.model_server import ROOT

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
START_SECONDS = 600  # 30 s alone on a warm machine, minutes on a busy one


@dataclass(frozen=True)
class Vllm:
    url: str
    process: subprocess.Popen
    log: Path


@contextlib.contextmanager
def running_vllm(folder: Path, model: Path) -> Iterator[Vllm]:
    """A server of one model, called "served". Afterwards no process of its group is left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv, settings = command(
        python=PYTHON, name="served", folder=model, host="127.0.0.1", port=port, context=512, cpu=True
    )
    log = folder / "vllm.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            cwd=folder,  # not the repository: its folders would shadow installed packages
            env={**os.environ, **settings, "VLLM_CACHE_ROOT": str(folder / "cache")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}", process, log)
        yield Vllm(f"http://127.0.0.1:{port}", process, log)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        # The engine and its worker outlive an API process that died; the group is theirs too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ready(url: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"vLLM ended with {process.returncode}:\n{log.read_text('utf-8', 'replace')[-4000:]}")
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    pytest.fail(f"vLLM was not ready in {START_SECONDS} s:\n{log.read_text('utf-8', 'replace')[-4000:]}")
