"""A real model for tests: the demo's base model, written once, and one embedded server for the whole session."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent
NAME = "smollm2-135m"
# Loading 540 MB of weights on a busy machine, seconds.
START_TIMEOUT = 300


@dataclass(frozen=True)
class ModelServer:
    """Where a test's model server listens, and the name of the base model on it."""

    url: str
    model: str
    process: subprocess.Popen


@pytest.fixture(scope="session")
def base_model() -> Path:
    """The folder of SmolLM2-135M-Instruct. Kept between sessions; BASE_MODEL names another folder of the same."""
    if folder := os.environ.get("BASE_MODEL"):
        return Path(folder)
    folder = ROOT / ".kwise" / "test" / "models" / NAME
    subprocess.run([sys.executable, "-m", "models_service", "base", "--out", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def model_server(base_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """The embedded model server with the base model, on a free port, stopped at the end of the session."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("model-server") / "log"
    command = [sys.executable, "-m", "models_service", "serve", "--model", f"{NAME}={base_model}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/health", process, log)
        yield ModelServer(url=f"http://127.0.0.1:{port}", model=NAME, process=process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(health: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(
                f"the model server ended with {process.returncode}:\n{log.read_text('utf-8', 'replace')[-4000:]}"
            )
        try:
            if httpx.get(health, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    pytest.fail(f"the model server was not ready in {START_TIMEOUT} s:\n{log.read_text('utf-8', 'replace')[-4000:]}")
