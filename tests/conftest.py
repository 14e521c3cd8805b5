"""What every test may use: real PostgreSQL and Redis, and the cast."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

# Fixtures that several folders use.
pytest_plugins = ["tests.model_server"]

A_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    hands_out = getattr(config.option, "numprocesses", None)  # to processes that start servers of their own
    if not hands_out and not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        from config import embedded

        embedded.ensure(Path(os.environ["KWISE_HOME"]), durable=False)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Random ids look alike in a test's name: processes must name it the same."""
    return A_UUID.sub("ID", val) if isinstance(val, str) and A_UUID.search(val) else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real prompts and rankings, where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the real data in {SHARED_DATA}, which is not on this machine")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def home(settings, tmp_path: Path) -> Path:
    """Files that a test makes lie in its own folder."""
    settings.KWISE_HOME = tmp_path
    settings.DATASETS_FOLDER = tmp_path / "datasets"
    settings.RUNS_FOLDER = tmp_path / "runs"
    settings.TEAM_SETTINGS_KEPT = 0
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return tmp_path


def _person(username: str, role: str, group: str):
    from labeling.people.models import User

    return User.objects.create_user(username, password="a long password", role=role, group=group)


@pytest.fixture
def ada(db):
    """A screened labeler."""
    return _person("ada", "labeler", "training")


@pytest.fixture
def bo(db):
    """Another screened labeler."""
    return _person("bo", "labeler", "training")


@pytest.fixture
def cy(db):
    """Somebody who may sign in no more."""
    person = _person("cy", "labeler", "training")
    person.is_active = False
    person.save()
    return person


@pytest.fixture
def hal(db):
    """A held-out labeler: never in training data."""
    return _person("hal", "labeler", "held_out")


@pytest.fixture
def sim(db):
    """A simulated labeler."""
    return _person("sim-1", "labeler", "simulated")


@pytest.fixture
def rita(db):
    """A researcher."""
    return _person("rita", "researcher", "researcher")


@pytest.fixture
def amy(db):
    """An admin."""
    return _person("amy", "admin", "researcher")


@pytest.fixture
def api():
    """A maker of API clients, signed in as somebody or as nobody."""
    from rest_framework.test import APIClient

    def client_for(person=None) -> APIClient:
        client = APIClient()
        if person is not None:
            client.force_login(person)
        return client

    return client_for


@pytest.fixture
def page():
    """A maker of page clients, signed in as somebody or as nobody."""
    from django.test import Client

    def client_for(person=None) -> Client:
        client = Client()
        if person is not None:
            client.force_login(person)
        return client

    return client_for
