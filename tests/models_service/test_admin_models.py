"""Models come, are replaced, go, and outlast the server: on a real server of tiny models."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from models_service import publishing
from models_service.client import ModelClient, ModelRefused
from tests.models_service.serving import samples_running, start_server, wait_for, write_reward
from tests.tiny import write_policy

ASK = [{"role": "user", "content": "the cat"}]


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("registry") / "serving.json"


@pytest.fixture(scope="module")
def own(tiny: Path, registry: Path):
    """A server that these tests may change."""
    running = start_server(registry.parent, "--model", f"tiny={tiny}", "--registry", str(registry), "--max-loaded", "2")
    yield running
    assert running.stop() == 0


@pytest.fixture
def models(own):
    with ModelClient(own.url, tries=1) as client:
        yield client


@pytest.fixture(scope="module")
def second(tiny: Path) -> Path:
    return write_policy(tiny.parent / "second", seed=2)


def say(client: ModelClient, model: str) -> str:
    return client.chat(model, ASK, seed=1, max_tokens=12)[0].text


def test_published_model_is_served_and_listed(models, second, registry):
    assert publishing.publish(models.base_url, "new", second) == "new"
    assert models.models() == ["new", "tiny"] and models.owner("new") == "kwise"
    assert say(models, "new") != say(models, "tiny")
    assert json.loads(registry.read_text()) == {"new": str(second)}
    publishing.publish(models.base_url, "new", second)
    assert models.models() == ["new", "tiny"]


def test_publishing_replaces_and_withdrawing_removes(models, tiny, second, registry):
    publishing.publish(models.base_url, "changing/name %", second)
    before = say(models, "changing/name %")
    publishing.publish(models.base_url, "changing/name %", tiny)
    assert say(models, "changing/name %") == say(models, "tiny") != before
    publishing.withdraw(models.base_url, "changing/name %")
    with pytest.raises(ModelRefused, match="there is no model"):
        say(models, "changing/name %")
    with pytest.raises(ModelRefused) as refusal:
        publishing.withdraw(models.base_url, "changing/name %")
    assert refusal.value.status == 404
    assert "changing/name %" not in json.loads(registry.read_text())


def test_what_runs_finishes_on_the_old_weights(models, tiny, second):
    publishing.publish(models.base_url, "busy", tiny)
    ask = {"n": 32, "seed": 5, "max_tokens": 400}
    expected = [choice.text for choice in models.chat("busy", ASK, **ask)]
    got = []
    thread = threading.Thread(target=lambda: got.extend(choice.text for choice in models.chat("busy", ASK, **ask)))
    thread.start()
    wait_for(lambda: samples_running(models.base_url, "busy"))
    publishing.publish(models.base_url, "busy", second)
    thread.join(120)
    assert got == expected
    assert [choice.text for choice in models.chat("busy", ASK, **ask)] != expected
    publishing.withdraw(models.base_url, "busy")


def test_least_recently_used_models_make_room_and_come_back(models, tiny, tmp_path):
    reward = write_reward(tmp_path / "reward", tiny)
    for name in ("a", "b"):
        publishing.publish(models.base_url, name, tiny)
    publishing.publish(models.base_url, "r", reward)
    first = say(models, "a")
    listed = models.call("GET", "/admin/models")["models"]
    assert sum(model["loaded"] for model in listed) <= 2 < len(listed)
    items = [{"messages": ASK, "completion": "sat"}]
    score = models.score("r", items)
    say(models, "b"), say(models, "tiny")
    assert say(models, "a") == first and models.score("r", items) == pytest.approx(score, abs=1e-6)
    for name in ("a", "b", "r"):
        publishing.withdraw(models.base_url, name)


def test_what_is_no_safe_model_is_refused_and_the_old_one_stays(models, tiny, copy_of):
    before = say(models, "tiny")
    folder = copy_of(tiny)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    (folder / "config.json").chmod(0o644)
    for path, reason in (
        (str(folder), "cut short"),
        ("/no/such/folder", "is not a folder"),
        ("relative", "must be absolute"),
        ("/a\x00b", "NUL"),
        ("/etc", "config.json is missing"),
        (5, "must be a string"),
        ("/" + "a" * 5000, "4096"),
        ("/" + "a" * 3000, "^/aaa"),  # longer than a file system takes
    ):
        with pytest.raises(ModelRefused, match=reason) as refusal:
            models.call("POST", "/admin/models", {"name": "tiny", "path": path})
        assert refusal.value.status == 400
    assert say(models, "tiny") == before


def test_weights_that_do_not_match_their_config_are_refused(models, tiny, copy_of):
    folder = copy_of(tiny)
    config = json.loads((folder / "config.json").read_text())
    for change in ({"num_hidden_layers": 3}, {"hidden_size": 32}, {"model_type": "nonsense"}, {"vocab_size": "x"}):
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(ModelRefused) as refusal:
            models.call("POST", "/admin/models", {"name": "bad", "path": str(folder)})
        assert refusal.value.status == 400, change
    assert "bad" not in models.models()


def test_published_models_outlast_the_server(tiny, second, tmp_path):
    registry = tmp_path / "serving.json"
    first = start_server(tmp_path, "--model", f"tiny={tiny}", "--registry", str(registry))
    try:
        publishing.publish(first.url, "new", second)
        publishing.publish(first.url, "tiny", second)
        publishing.publish(first.url, "gone", tiny)
    finally:
        assert first.stop() == 0
    registry.write_text(registry.read_text().replace(str(tiny), str(tmp_path / "moved away")))
    again = start_server(tmp_path, "--model", f"tiny={tiny}", "--registry", str(registry))
    try:
        with ModelClient(again.url) as client:
            assert client.models() == ["new", "tiny"]
            assert say(client, "new") == say(client, "tiny")
            assert "gone" in client.call("GET", "/admin/models")["missing"]
            publishing.withdraw(again.url, "gone")
            assert set(json.loads(registry.read_text())) == {"new", "tiny"}
    finally:
        assert again.stop() == 0
