"""/healthz and /readyz, over the real database and Redis."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings as django_settings

from config import health, heartbeat


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No answer kept from another test, no sign of life left by one."""
    monkeypatch.setattr(health, "_last", (-health.KEPT_FOR, {}))
    heartbeat.client.cache_clear()
    heartbeat.client().delete(*[f"kwise:alive:{part}" for part in heartbeat.PARTS])
    yield
    heartbeat.client.cache_clear()


@pytest.fixture
def model_server(settings):
    """An HTTP server that says it is well, in place of a model that takes seconds to load."""

    class Well(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Well)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings.MODEL_SERVER_URL = f"http://127.0.0.1:{server.server_port}"
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def everybody_beats():
    for part in heartbeat.PARTS:
        heartbeat.say_alive(part, 30)


def test_healthz_needs_no_database(client):  # without the fixture `db`, a query would fail
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"ok": True})


@pytest.mark.django_db
def test_readyz_is_ready_when_every_part_is(client, model_server, everybody_beats):
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert set(response.json()["parts"]) == {
        "database", "redis", "worker", "gpu_worker", "scheduler", "model_server",
    }  # fmt: skip
    assert response.json()["ok"] and all(part == {"ok": True} for part in response.json()["parts"].values())
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
def test_readyz_names_what_is_missing(client, settings, model_server):
    heartbeat.say_alive("default", 30)
    settings.MODEL_SERVER_URL = "http://127.0.0.1:9"  # nobody listens on discard
    response = client.get("/readyz")
    assert response.status_code == 503
    assert {name for name, part in response.json()["parts"].items() if not part["ok"]} == {
        "gpu_worker", "scheduler", "model_server",
    }  # fmt: skip


@pytest.mark.django_db
def test_readyz_tells_no_addresses_when_redis_and_database_are_away(client, settings, monkeypatch, everybody_beats):
    settings.BROKER_URL = "redis://:secret-word@127.0.0.1:9/0"
    heartbeat.client.cache_clear()
    away = {"host": "127.0.0.1", "port": 9, "user": "kwise", "password": "secret-word", "dbname": "kwise"}
    monkeypatch.setattr(health.connection, "get_connection_params", lambda: away)
    response = client.get("/readyz")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert not parts["database"]["ok"] and not parts["redis"]["ok"] and not parts["worker"]["ok"]
    text = response.content.decode()
    assert "secret-word" not in text and "127.0.0.1" not in text and str(django_settings.KWISE_HOME) not in text


@pytest.mark.django_db
def test_many_questions_look_once(client, settings, monkeypatch, model_server):
    looks = []
    real = health._database
    monkeypatch.setattr(health, "_database", lambda: looks.append(1) or real())
    monkeypatch.setattr(health, "KEPT_FOR", 60)
    for _ in range(5):
        client.get("/readyz")
    assert len(looks) == 1


def test_only_reading_is_allowed(client):
    assert client.post("/healthz").status_code == 405


def test_a_sign_of_life_expires():
    heartbeat.say_alive("gpu", 1)
    assert heartbeat.alive() == {"gpu"}
    heartbeat.client().pexpire("kwise:alive:gpu", 1)
    threading.Event().wait(0.05)
    assert heartbeat.alive() == set()
