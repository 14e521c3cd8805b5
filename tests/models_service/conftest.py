"""One embedded server with a language model and a reward model for all tests here, and the same models in process."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: see models_service/serve.py

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_service.client import ModelClient
from tests.models_service.serving import Running, start_server, write_reward
from tests.tiny import write_policy


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of random weights."""
    return write_policy(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_reward(tiny: Path) -> Path:
    return write_reward(tiny.parent / "tiny-reward", tiny)


@pytest.fixture(scope="session")
def server(base_model: Path, tiny: Path, tiny_reward: Path, tmp_path_factory) -> Iterator[Running]:
    """SmolLM2 as "smol", a random model as "tiny", its reward model as "reward"."""
    folder = tmp_path_factory.mktemp("server")
    running = start_server(
        folder, "--model", f"smol={base_model}", "--model", f"reward={tiny_reward}", "--model", f"tiny={tiny}"
    )
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def client(server: Running) -> Iterator[ModelClient]:
    with ModelClient(server.url, tries=1) as client:
        yield client


@pytest.fixture
def copy_of(tmp_path: Path):
    """Copies a model folder into this test's own, to be spoilt."""
    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copy"))
