"""Time that goes by, a tiny policy, and a real model server with it: for tests that need a model, not a good one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import F

from tests.model_server import ROOT, wait_until_ready
from tests.tiny import write_policy


@pytest.fixture
def pass_time() -> Callable[..., None]:
    """Let time go by for all leases, by moving them into the past: the clock is the database's own."""
    from labeling.leasing.models import Lease

    def move(*, minutes: int) -> None:
        away = timedelta(minutes=minutes)
        Lease.objects.update(expires_at=F("expires_at") - away, granted_at=F("granted_at") - away)

    return move


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory) -> Path:
    return write_policy(tmp_path_factory.mktemp("tiny") / "policy")


@pytest.fixture(scope="session")
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="session")
def tiny_server(tiny_policy, tmp_path_factory, unused_port) -> Iterator[str]:
    """The address of an embedded model server that begins with the tiny policy, called `first`."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "models_service", "serve", "--model", f"first={tiny_policy}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(unused_port)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    try:
        wait_until_ready(f"http://127.0.0.1:{unused_port}/health", process, log)
        yield f"http://127.0.0.1:{unused_port}"
    finally:
        process.terminate()
        process.wait(30)
