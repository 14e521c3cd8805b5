"""The process: how it starts, refuses to start, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from models_service.client import ModelClient, ModelRefused
from tests.model_server import ROOT
from tests.models_service.serving import samples_running, start_server, wait_for

ASK = [{"role": "user", "content": "the cat"}]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "models_service", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def test_help_names_the_commands():
    done = run("--help")
    assert done.returncode == 0 and "serve" in done.stdout and "base" in done.stdout
    done = run("serve", "--help")
    assert done.returncode == 0 and "--registry" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["serve", "--model", "noequals"], ["serve", "--port", "x"], ["serve", "--port", "70000"], ["base"], ["cook"]],
)
def test_wrong_usage_is_two(arguments):
    assert run(*arguments).returncode == 2


def test_a_port_in_use_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1 and "cannot listen on 127.0.0.1" in done.stderr and "Traceback" not in done.stderr


def test_a_folder_that_is_no_model_is_said(tmp_path: Path):
    done = run("serve", "--port", "0", "--model", f"a={tmp_path}")
    assert done.returncode == 1 and "config.json is missing" in done.stderr and "Traceback" not in done.stderr


def test_a_broken_registry_is_said(tmp_path: Path):
    (tmp_path / "serving.json").write_text('["a"]')
    done = run("serve", "--port", "0", "--registry", str(tmp_path / "serving.json"))
    assert done.returncode == 1 and "serving.json" in done.stderr and "Traceback" not in done.stderr


def test_sigterm_lets_what_runs_finish_and_takes_nothing_new(tiny: Path, tmp_path: Path):
    running = start_server(tmp_path, "--model", f"tiny={tiny}")
    got = []
    try:
        with ModelClient(running.url, tries=1) as client:
            thread = threading.Thread(target=lambda: got.append(client.chat("tiny", ASK, n=16, max_tokens=450, seed=1)))
            thread.start()
            wait_for(lambda: samples_running(running.url, "tiny"))
            running.process.send_signal(signal.SIGTERM)
            thread.join(60)
    finally:
        assert running.stop() == 0
    assert len(got[0]) == 16
    with ModelClient(running.url, tries=1) as client:
        assert not client.ready()


def test_sigterm_while_it_starts_is_a_clean_end(base_model: Path, tmp_path: Path):
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "models_service", "serve", "--port", "0", "--model", f"a={base_model}"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_sigint_twice_does_not_wait(tiny: Path, tmp_path: Path):
    running = start_server(tmp_path, "--model", f"tiny={tiny}", "--max-rows", "1")
    thread = threading.Thread(
        target=lambda: httpx.post(
            f"{running.url}/v1/chat/completions",
            json={"model": "tiny", "messages": ASK, "n": 128, "max_tokens": 450},
            timeout=60,
        ),
        daemon=True,
    )
    threading.excepthook, before = (lambda _args: None), threading.excepthook
    try:
        thread.start()
        wait_for(lambda: samples_running(running.url, "tiny"))
        running.process.send_signal(signal.SIGINT)
        time.sleep(1)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
        thread.join(10)
    finally:
        threading.excepthook = before
        running.stop()


def test_a_key_is_asked_for(tiny: Path, tmp_path: Path):
    running = start_server(tmp_path, "--model", f"tiny={tiny}", "--host", "127.0.0.1", KWISE_MODEL_API_KEY="kéy")
    try:
        assert httpx.get(f"{running.url}/v1/models").status_code == 401
        assert httpx.get(f"{running.url}/metrics").status_code == 401
        with ModelClient(running.url) as stranger, pytest.raises(ModelRefused) as refusal:
            stranger.chat("tiny", ASK)
        assert refusal.value.status == 401
    finally:
        assert running.stop() == 0


def test_beyond_loopback_the_admin_routes_need_a_key(tiny: Path, tmp_path: Path):
    running = start_server(tmp_path, "--model", f"tiny={tiny}", "--host", "0.0.0.0")
    try:
        assert httpx.get(f"{running.url}/v1/models").status_code == 200
        assert httpx.post(f"{running.url}/admin/models", json={"name": "a", "path": "/"}).status_code == 403
    finally:
        assert running.stop() == 0
