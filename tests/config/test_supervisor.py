"""The supervisor with small processes: nothing remains, whatever happens, and every refusal is clear."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from config import embedded, supervisor

ROOT = Path(supervisor.__file__).resolve().parent.parent

# Runs two commands; the first starts a grandchild that leaves its group, as a training run does.
SCRIPT = f"""
import os, sys, types
from pathlib import Path
# Without config/__init__.py, which loads Celery: the supervisor needs none of it, and tests are quicker.
sys.modules["config"] = types.ModuleType("config")
sys.modules["config"].__path__ = [{str(ROOT / "config")!r}]
from config import embedded, supervisor
home, second = Path(sys.argv[1]), sys.argv[2]
embedded.prepare(home)
first = "import subprocess, time; subprocess.Popen(['sleep', '987654'], start_new_session=True); time.sleep(987654)"
try:
    with supervisor.only_one(home, "http://127.0.0.1:1") as mark:
        try:
            supervisor.supervise(
                {{"first": [sys.executable, "-c", first], "second": ["sh", "-c", second]}},
                mark=mark, logs=home / "logs", env=dict(os.environ), when_started=lambda: supervisor.say("all started"),
            )
        finally:
            supervisor.leftovers.end(mark, patience=2)
except supervisor.CannotStart as error:
    sys.exit(str(error))
"""


@contextlib.contextmanager
def supervised(home: Path, second: str = "exec sleep 987654"):
    """A supervisor with both its commands and the grandchild running."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(home), second], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "all started\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def left_of(home: Path) -> list[psutil.Process]:
    mark = supervisor._read_json((home / "run" / "demo").open()).get("mark")
    return supervisor.leftovers.marked(mark)


def wait_until(condition, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "home"


def wait_for_grandchild(home: Path) -> None:
    wait_until(lambda: len(left_of(home)) == 3, "both commands and the grandchild should run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])  # SIGTERM: see below
def test_a_signal_stops_everything(place, number):
    with supervised(place) as process:
        wait_for_grandchild(place)
        process.send_signal(number)
        assert process.wait(30) == 0
        assert left_of(place) == []


def test_a_killed_supervisor_leaves_nothing_and_can_start_again(place):
    with supervised(place) as process:
        wait_for_grandchild(place)
        process.kill()
        process.wait()
        wait_until(lambda: left_of(place) == [], "the guard should have ended them")
    with supervised(place) as process:
        process.terminate()
        assert process.wait(30) == 0


def test_a_process_that_ends_by_itself_is_named_with_its_last_words(place):
    with supervised(place, "echo the disk is full; sleep 1; exit 3") as process:
        _, error = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "second ended by itself (exit status 3)" in error
    assert "the disk is full" in error
    assert left_of(place) == []
    assert (place / "logs" / "second.log").read_text() == "the disk is full\n"


def test_a_second_supervisor_in_the_same_home_is_refused(place):
    with supervised(place) as process:
        command = [sys.executable, "-c", SCRIPT, str(place), "exec sleep 987654"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert second.returncode == 1
        assert f"Kwise runs already with KWISE_HOME={place} (process {process.pid}" in second.stderr
        wait_for_grandchild(place)  # the refused one disturbed nothing


def test_a_port_in_use_is_named_with_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with pytest.raises(supervisor.CannotStart, match=rf"Port {port}.* process {psutil.Process().pid} .*PORT="):
            supervisor.check_port(port, "the web server", "PORT")
    supervisor.check_port(port, "the web server", "PORT")


@pytest.mark.parametrize("value", ["nonsense", "0", "70000", "-1", "８０００x"])
def test_a_port_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("PORT", value)
    with pytest.raises(supervisor.CannotStart, match="a port is a number"):
        supervisor._port("PORT", 8000)


def test_an_outside_model_server_is_not_started_again(tmp_path):
    assert "model-server" not in supervisor.processes(tmp_path, model=None, name="base")
    assert "model-server" in supervisor.processes(tmp_path, model=tmp_path, name="base")


def test_a_failed_preparation_shows_its_last_words(tmp_path):
    run = supervisor.OneOff(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert run("fine", ["sh", "-c", "echo sign-in; echo noise >&2"]) == "sign-in"
    with pytest.raises(supervisor.CannotStart, match="exit status 4(.|\n)*no such table"):
        run("broken", ["sh", "-c", "echo no such table >&2; exit 4"])


def test_embedded_servers_count_the_supervisor_as_their_user(place):
    # What keeps `./manage.py import_prompts` beside the demo from stopping the demo's servers when it ends.
    embedded.ensure(place, postgres=False)
    try:
        assert embedded.in_use(place)
    finally:
        embedded.release(place)
    assert not embedded.in_use(place)
