"""The files that production is made from, and the web process they start."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from manage import needs_servers

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SERVICES = yaml.safe_load(COMPOSE)["services"]


def test_compose_file_fits_the_compose_schema():
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, ROOT / "docker-compose.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_process_of_the_design_is_there_and_is_watched():
    assert set(SERVICES) == {
        "migrate", "web", "worker", "gpu-worker", "scheduler", "vllm", "postgres", "redis",
    }  # fmt: skip
    assert [name for name, service in SERVICES.items() if "healthcheck" not in service] == ["migrate"]


def test_no_secret_has_a_default():
    secrets = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*)(.?.?)", COMPOSE)
    assert {name for name, _ in secrets} == {"SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
    assert {operator for _, operator in secrets} == {":?"}


def test_only_the_web_is_reached_from_outside_and_only_by_the_proxy():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert list(published) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


@pytest.mark.parametrize("name", ["gpu-worker", "vllm"])
def test_gpus_are_reserved(name):
    (device,) = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_images_are_pinned():
    for name, service in SERVICES.items():
        assert service["image"].startswith("kwise-") or re.search(r":v?\d", service["image"]), name
    assert re.search(r"^USER 10001$", (ROOT / "Dockerfile").read_text(), re.M)


def test_the_web_and_worker_processes_import_no_torch(tmp_path):
    # Over addresses nobody answers on: importing must not need them.
    program = (
        "import sys, config.wsgi, labeling.jobs; from django.urls import get_resolver; get_resolver().url_patterns; "
        "print(sorted({'torch', 'transformers', 'accelerate'} & set(sys.modules)))"
    )
    environment = os.environ | {
        "SECRET_KEY": "k" * 50,
        "DATABASE_URL": "postgres://u:p@127.0.0.1:9/x",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "KWISE_HOME": str(tmp_path / "home"),
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_web_says_when_the_embedded_servers_do_not_run(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    environment["KWISE_HOME"] = str(tmp_path / "home")
    for command in (["-c", "import config.wsgi"], ["-m", "celery", "-A", "config", "worker", "-Q", "gpu"]):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env=environment)
        assert done.returncode != 0
        assert "No answer from the embedded PostgreSQL" in done.stderr


@pytest.mark.parametrize(
    "arguments, needs",
    [
        ([], False),
        (["help"], False),
        (["migrate", "--help"], False),
        (["scan_prompts", "prompts.jsonl"], False),
        (["migrate"], True),
        (["import_prompts", "prompts.jsonl"], True),
    ],
)
def test_only_commands_that_need_servers_start_them(arguments, needs):
    assert needs_servers(arguments) is needs


def test_a_web_process_of_one_thread_keeps_its_connection(tmp_path):
    program = (
        "import runpy; runpy.run_path('config/gunicorn.py'); from django.conf import settings; "
        "database = settings.DATABASES['default']; "
        "print(database['CONN_MAX_AGE'], 'pool' in database['OPTIONS'], database['CONN_HEALTH_CHECKS'])"
    )
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": "k" * 50,
        "DATABASE_URL": "postgres://u:p@127.0.0.1:9/x",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "KWISE_HOME": str(tmp_path / "home"),
    }
    environment.pop("DATABASE_POOL_SIZE", None)
    for threads, says in (("1", "None False True"), ("8", "0 True True")):
        env = environment | {"WEB_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, env=env)
        assert done.stdout.strip() == says, done.stderr


# Its module says what the worker that loads it has already.
PROBE = """
import json, os, sys

wanted = ("matplotlib.figure", "matplotlib.dates", "matplotlib.backends.backend_svg", "torch")
there = {"pid": os.getpid(), "loaded": [name for name in wanted if name in sys.modules]}


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(there).encode()]
"""


def test_a_worker_of_the_web_has_the_library_for_plots_before_it_loads_anything(tmp_path):
    (tmp_path / "probe.py").write_text(PROBE)
    address = str(tmp_path / "web.sock")
    home = tmp_path / "home"
    environment = os.environ | {
        "SECRET_KEY": "k" * 50,
        "DATABASE_URL": "postgres://u:p@127.0.0.1:9/x",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "KWISE_HOME": str(home),
        "WEB_WORKERS": "1",
    }
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "--bind", f"unix:{address}"]
    command = [*gunicorn, "--pythonpath", str(tmp_path), "probe"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        web = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=file)
    try:
        there = ask_when_it_listens(address, web, log=log)
    finally:
        web.terminate()
        web.wait(20)
    assert there["pid"] != web.pid, "a worker answered"
    assert there["loaded"] == ["matplotlib.figure", "matplotlib.dates", "matplotlib.backends.backend_svg"]
    assert list(home.rglob("css/kwise.*.css")), "the static files are collected before there are workers, too"


def ask_when_it_listens(address: str, web: subprocess.Popen, *, log: Path) -> dict:
    """The answer to GET / on a Unix socket that is not there yet."""
    for _ in range(600):
        assert web.poll() is None, log.read_text()
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(address)
            except OSError:
                time.sleep(0.1)
                continue
            client.settimeout(60)
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with client.makefile("rb") as answer:
                return json.loads(answer.read().split(b"\r\n\r\n", 1)[1])
    raise AssertionError("gunicorn does not listen after a minute")
