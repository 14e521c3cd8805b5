"""Starting a real embedded server, and making a reward model for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.model_server import ROOT, wait_until_ready

BIAS = 0.75


@dataclass
class Running:
    """A started server. `stop` ends it as an operator would and gives its exit status."""

    url: str
    process: subprocess.Popen
    log: Path

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                pytest.fail("the server did not end within 30 s of SIGTERM")
        return self.process.returncode


def start_server(folder: Path, *arguments: str, **environment: str) -> Running:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"server-{port}.log"
    command = [sys.executable, "-m", "models_service", "serve", "--port", str(port), "--threads", "2", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
    running = Running(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(f"{running.url}/health", process, log)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return running


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def samples_running(url: str, model: str) -> int:
    """How many samples of `model` are in the making, as the server's metrics say."""
    for line in httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text.splitlines():
        if line.startswith(f'kwise_running_samples{{model="{model}"}}'):
            return int(float(line.split()[-1]))
    return 0


def write_reward(folder: Path, base: Path, *, seed: int = 1, bias: float | None = BIAS) -> Path:
    """A reward model on a base model's body, with a random head and a pad token that is not its EOS."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    model.config.pad_token_id, model.config.problem_type = 0, "regression"
    if bias is not None:
        model.config.reward_bias = bias
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.save_pretrained(folder)
    return folder
