"""The environment is read once, and nonsense stops the start with a sentence that repeats no password."""

from __future__ import annotations

import runpy
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from environs import EnvError

FILE = Path(__file__).resolve().parents[2] / "config" / "settings.py"
GOOD = {"SECRET_KEY": "k" * 50, "DATABASE_URL": "postgres://u:p%40ss@db/kwise", "REDIS_URL": "redis://r:6379/0"}
READ = (
    *GOOD,
    "KWISE_HOME",
    "KWISE_DEMO",
    "DEBUG",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "HTTPS",
    "LEASE_SECONDS",
    "ALLOWED_HOSTS",
)


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads the settings with this environment and none of the tests' own."""

    def read(**environment: str) -> dict:
        for name in READ:
            monkeypatch.delenv(name, raising=False)
        for name, value in ({"KWISE_HOME": str(tmp_path / "home")} | environment).items():
            monkeypatch.setenv(name, value)
        return runpy.run_path(str(FILE))

    return read


def test_defaults_are_safe(read):
    settings = read(**GOOD)
    assert settings["DEBUG"] is False
    assert "*" not in settings["ALLOWED_HOSTS"]
    assert settings["SESSION_COOKIE_HTTPONLY"] is True
    assert settings["DATABASES"]["default"]["PASSWORD"] == "p@ss"


def test_https_closes_cookies_and_redirects_all_but_health_checks(read):
    settings = read(**GOOD, HTTPS="true")
    assert settings["SESSION_COOKIE_SECURE"] and settings["CSRF_COOKIE_SECURE"] and settings["SECURE_SSL_REDIRECT"]
    assert settings["SECURE_REDIRECT_EXEMPT"] == [r"^healthz$", r"^readyz$"]


def test_without_any_variable_the_embedded_servers_and_a_kept_key_are_used(read, tmp_path):
    first = read()
    assert first["EMBEDDED_POSTGRES"] and first["EMBEDDED_REDIS"]
    assert Path(first["DATABASES"]["default"]["HOST"]).name == "postgres"
    assert first["CELERY_BROKER_URL"].startswith("redis+socket:///")
    assert first["SECRET_KEY"] == read()["SECRET_KEY"]
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600


def test_a_secret_key_is_demanded_with_a_database_of_ones_own(read):
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
        read(DATABASE_URL=GOOD["DATABASE_URL"], REDIS_URL=GOOD["REDIS_URL"])


def test_the_demo_on_servers_of_ones_own_makes_its_key(read):
    assert len(read(DATABASE_URL=GOOD["DATABASE_URL"], KWISE_DEMO="true")["SECRET_KEY"]) >= 50


@pytest.mark.parametrize(
    "name, value, sentence",
    [
        ("DATABASE_URL", "nonsense-with-password", "DATABASE_URL must name a database on a PostgreSQL server"),
        ("DATABASE_URL", "sqlite:///kwise.db", "DATABASE_URL must name"),
        ("DATABASE_URL", "postgres://u:password@host:port/kwise", "DATABASE_URL must name"),
        ("DATABASE_URL", "postgres://u:password@host", "DATABASE_URL must name"),
        ("REDIS_URL", "amqp://u:password@host", "REDIS_URL must name a Redis server"),
        ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml'; choose json or console"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL"),
        ("DEBUG", "perhaps", "DEBUG"),
        ("LEASE_SECONDS", "soon", "LEASE_SECONDS"),
    ],
)
def test_nonsense_stops_the_start(read, name, value, sentence):
    with pytest.raises((ImproperlyConfigured, EnvError), match=sentence) as caught:
        read(**(GOOD | {name: value}))
    assert "password" not in str(caught.value).replace("user:password@host", "").replace("of the password", "").replace(
        ":password@host:6379", ""
    )
