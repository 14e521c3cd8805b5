"""The tests here need vLLM, which lives in an environment of its own; without it they are skipped."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: see models_service/serve.py

from pathlib import Path

import pytest

from tests.tiny import write_policy
from tests.vllm.running import PYTHON


@pytest.fixture(scope="session", autouse=True)
def environment() -> None:
    if not PYTHON.exists():
        pytest.skip(f"vLLM is not installed: there is no {PYTHON}; `make test-vllm` sets it up")


@pytest.fixture(scope="session")
def tiny_policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of another shape."""
    return write_policy(tmp_path_factory.mktemp("models") / "tiny")
