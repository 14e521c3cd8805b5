"""`python -m config.supervisor demo`: all of Kwise on one machine, in one terminal.

1. Refuse to start twice in one KWISE_HOME, or on a port that somebody holds, and say who.
2. Start the embedded PostgreSQL and Redis (unless DATABASE_URL and REDIS_URL name others), migrate, unpack the model.
3. Run web, worker, gpu-worker, scheduler and model server under honcho; their output goes to KWISE_HOME/logs/NAME.log.
4. When /readyz says so, make the demo content and print where Kwise is and who may sign in.
5. On Ctrl-C, SIGTERM or SIGHUP, or when one of them ends by itself: stop all, then the servers. Nothing remains, not
   even after SIGKILL: a guard process ends whatever carries this run's mark (config/leftovers.py).

A process that ends by itself is not started again: on one machine it is a fault to be read, and its last lines are
shown. Production has compose, or whatever runs containers, for that.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import fcntl
import json
import logging.handlers
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import honcho.manager
import httpx
import psutil

from config import embedded, leftovers

ROOT = Path(__file__).resolve().parent.parent
STOP_PATIENCE = 15  # seconds from the request to stop until SIGKILL; a training run saves its checkpoint in this time
READY_TIMEOUT = 300  # seconds from the start of the processes until /readyz; a slow disk reads the model for long
SHOWN_LINES = 15  # of the log of a process that ended by itself
LOG_BYTES = 10 * 2**20  # bytes of a log before it is moved aside; two such are kept


class CannotStart(Exception):
    """A sentence for the reader: what is in the way and what to do."""


# ------------------------------------------------------------------------------------------------- before the start


def check_port(port: int, what: str, variable: str) -> None:
    """Raises CannotStart when somebody listens on 127.0.0.1:`port`, naming them where the system tells."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return
        except PermissionError as error:
            raise CannotStart(f"Port {port} for {what} needs rights that this user lacks. Set {variable}.") from error
        except OSError:
            pass
    raise CannotStart(
        f"Port {port}, which {what} needs, is held by {_holder(port)}. Stop that, or choose another port: "
        f"{variable}={port + 100} make demo"
    )


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return f"process {process.pid} ({' '.join(process.cmdline())[:100] or process.name()})"
    return "another process"


@contextlib.contextmanager
def only_one(home: Path, url: str) -> Iterator[str]:
    """Holds the right to run the demo in `home`; gives the mark of this run. Raises CannotStart while another runs.

    What an earlier run left behind, were even its guard killed, is ended first.
    """
    path = home / "run" / "demo"
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as file:
        while True:
            try:
                # A POSIX lock: honcho's forks do not inherit it, so it goes when this very process does, or when this
                # process closes the file, which is why it is read below through this one descriptor alone.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                before = _read_json(file)
                if before.get("pid") and psutil.pid_exists(before["pid"]):
                    raise CannotStart(
                        f"Kwise runs already with KWISE_HOME={home} (process {before['pid']}, {before['url']}). Stop "
                        "it with Ctrl-C there, or give this one a folder and ports of its own: "
                        "KWISE_HOME=… PORT=… MODEL_PORT=… make demo"
                    ) from None
                time.sleep(0.2)  # the guard of a killed run is still clearing up
        before = _read_json(file)
        if "mark" in before:
            leftovers.end(before["mark"], patience=5)
        mark = secrets.token_hex(8)
        file.seek(0)
        file.truncate()
        json.dump({"pid": os.getpid(), "url": url, "mark": mark}, file)
        file.flush()
        guard = [sys.executable, "-I", str(ROOT / "config" / "leftovers.py"), str(path), mark]
        null = subprocess.DEVNULL
        subprocess.Popen(guard, stdin=null, stdout=null, stderr=null, start_new_session=True, cwd="/")
        yield mark


def _read_json(file: TextIO) -> dict:
    file.seek(0)
    try:
        return json.loads(file.read())
    except ValueError:
        return {}  # empty, or killed while writing


# ------------------------------------------------------------------------------------------------- the processes


class Terminal:
    """What honcho prints to: a child's lines go to its log, what the reader must know goes to the terminal."""

    def __init__(self, names: list[str], logs: Path, all_started: Callable[[], None], stopping: Callable[[], None]):
        self.width = 0  # honcho sets it
        self.ended_by_itself: tuple[str, int] | None = None
        self.is_stopping = False
        self._all_started, self._stopping = all_started, stopping
        self._waiting_for = set(names)
        self.groups: set[int] = set()
        self._files = {}
        self.last_lines = {name: collections.deque(maxlen=SHOWN_LINES) for name in names}
        for name in names:
            self._files[name] = logging.handlers.RotatingFileHandler(
                logs / f"{name}.log", maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8", errors="replace"
            )

    def write(self, message) -> None:
        data = message.data.decode(errors="replace") if isinstance(message.data, bytes) else message.data
        if message.name in self._files:
            line = data.rstrip("\n")
            self.last_lines[message.name].append(line)
            self._files[message.name].emit(logging.LogRecord("", 0, "", 0, line, None, None))
        elif found := re.match(r"(\S+) started \(pid=(\d+)\)", data):
            self._waiting_for.discard(found[1])
            self.groups.add(int(found[2]))  # each command leads a group of its own
            if not self._waiting_for:
                self._all_started()
        elif found := re.match(r"(\S+) stopped \(rc=(-?\d+)\)", data):
            if not self.is_stopping:
                self.ended_by_itself = found[1], int(found[2])
            self._stop()
        elif data.rstrip().endswith("received"):
            self._stop()

    def _stop(self) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            say("Stopping …")
            self._stopping()


def supervise(
    commands: dict[str, list[str]], *, mark: str, logs: Path, env: dict[str, str], when_started: Callable[[], None]
) -> None:
    """Runs `commands` until a signal comes, one of them ends, or `when_started` fails; then ends them all.

    `when_started` runs in a thread once all have started. Raises CannotStart with what went wrong, if something did.
    """
    failure: list[str] = []

    def watch() -> None:
        try:
            when_started()
        except CannotStart as error:
            if not terminal.is_stopping:
                failure.append(str(error))
                os.kill(os.getpid(), signal.SIGTERM)

    def stop_escaped() -> None:
        """Those that left their group, as training runs may, hear now that the end has come, and not after it."""
        for process in leftovers.marked(mark):
            with contextlib.suppress(psutil.Error, OSError):
                if os.getpgid(process.pid) not in groups():
                    process.terminate()

    def groups() -> set[int]:
        """honcho starts each command in a session of its own; ours is where its helpers live."""
        return {os.getpgid(0)} | {c.pid for p in psutil.Process().children() for c in p.children()}

    terminal = Terminal(
        list(commands),
        logs,
        threading.Thread(target=watch, daemon=True).start,
        threading.Thread(target=stop_escaped).start,
    )
    honcho.manager.KILL_WAIT = STOP_PATIENCE
    manager = honcho.manager.Manager(terminal)
    for name, command in commands.items():
        manager.add_process(name, "exec " + shlex.join(command), env=env | {leftovers.VARIABLE: mark}, cwd=str(ROOT))
    # A closed terminal is a request to stop. honcho's helpers inherit this and ignore SIGTERM, as they should.
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    try:
        manager.loop()
    except KeyError:
        # honcho, asked to stop before it knew every command's pid. What runs carries the mark, and the caller ends it.
        if not terminal.is_stopping:
            raise

    if failure:
        raise CannotStart(failure[0])
    if terminal.ended_by_itself:
        name, status = terminal.ended_by_itself
        how = f"exit status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
        last = "\n".join(f"  {line}" for line in terminal.last_lines[name]) or "  (it wrote nothing)"
        raise CannotStart(f"{name} ended by itself ({how}), so all was stopped. {logs / name}.log ends:\n{last}")


def say(line: str) -> None:
    # Not print: it cannot be entered twice, and a signal may come while it runs. A closed terminal is no failure.
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


# ------------------------------------------------------------------------------------------------- the demo


def demo() -> None:
    """Runs the demo until it is stopped. Raises CannotStart, EmbeddedError or ImproperlyConfigured with a sentence."""
    port, model_port = _port("PORT", 8000), _port("MODEL_PORT", 8001)
    own_model_server = not os.environ.get("MODEL_SERVER_URL")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["KWISE_DEMO"] = "true"
    os.environ.setdefault("MODEL_SERVER_URL", f"http://127.0.0.1:{model_port}")
    from django.conf import settings

    home, logs = settings.KWISE_HOME, settings.KWISE_HOME / "logs"
    url = f"http://127.0.0.1:{port}"
    embedded.prepare(home)
    # Before anything runs a signal means the same as Ctrl-C; honcho then has handlers of its own.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with only_one(home, url) as mark:
        check_port(port, "the web server", "PORT")
        if own_model_server:
            check_port(model_port, "the model server", "MODEL_PORT")
        env = os.environ | {
            "KWISE_HOME": str(home),
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "WEB_WORKERS": os.environ.get("WEB_WORKERS", "3"),
            "LOG_FORMAT": os.environ.get("LOG_FORMAT", "console"),
            "HF_HUB_OFFLINE": "1",  # nothing is fetched from a hub
            "PYTHONUNBUFFERED": "1",
        }
        try:
            say(f"Database: {'embedded, in ' + str(home) if settings.EMBEDDED_POSTGRES else 'DATABASE_URL'}")
            embedded.ensure(home, postgres=settings.EMBEDDED_POSTGRES, redis=settings.EMBEDDED_REDIS)
            run = OneOff(logs, env | {leftovers.VARIABLE: mark})
            run("migrate", [sys.executable, "manage.py", "migrate", "--no-input"])
            if own_model_server:
                if not (settings.BASE_MODEL / "config.json").exists():
                    say(f"Base model: unpacking to {settings.BASE_MODEL} (half a minute, once)")
                run("base-model", [sys.executable, "-m", "models_service", "base", "--out", str(settings.BASE_MODEL)])

            def when_started() -> None:
                wait_until_ready(url)
                say("Making the demo content (once; the model writes the completions) …")
                sign_ins = run("seed-demo", [sys.executable, "manage.py", "seed_demo"])
                say(f"Kwise is ready: {url}\n{sign_ins}\nLogs: {logs}. Stop with Ctrl-C; everything is kept.")

            commands = processes(
                home, model=settings.BASE_MODEL if own_model_server else None, name=settings.MODEL_SERVER_NAME
            )
            if own_model_server:
                commands["model-server"] += ["--port", str(model_port)]
            say(f"Starting {', '.join(commands)} …")
            supervise(commands, mark=mark, logs=logs, env=env, when_started=when_started)
        finally:
            for killed in leftovers.end(mark, patience=5):
                say(f"Had to kill process {killed}")
            embedded.release(home)


def processes(home: Path, *, model: Path | None, name: str) -> dict[str, list[str]]:
    """The commands by name. Without `model` the model server is somebody else's, under MODEL_SERVER_URL."""
    python = sys.executable
    celery = [python, "-m", "celery", "-A", "config"]
    worker = [*celery, "worker", "--pool", "threads", "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    commands = {
        "web": [python, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"],
        "worker": [*worker, "-Q", "default", "--concurrency", "4", "-n", "worker@%h"],
        "gpu-worker": [*worker, "-Q", "gpu", "--concurrency", "1", "-n", "gpu@%h"],
        # No pid file: a stale one would keep the scheduler from starting, and only one demo runs in a home anyway.
        "scheduler": [*celery, "beat", "--pidfile=", "--loglevel", "INFO"],
    }
    if model is not None:
        commands["model-server"] = [python, "-m", "models_service", "serve", "--model", f"{name}={model}"]
        commands["model-server"] += ["--registry", str(home / "serving.json"), "--host", "127.0.0.1"]
    return commands


class OneOff:
    """Runs a command that ends, its errors to a log; gives its stdout. Raises CannotStart with the end of the log."""

    def __init__(self, logs: Path, env: dict[str, str]):
        self.logs, self.env = logs, env

    def __call__(self, name: str, command: list[str]) -> str:
        log = self.logs / f"{name}.log"
        with open(log, "w") as errors:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=self.env,
            )
        if done.returncode != 0:
            last = (done.stdout + log.read_text(errors="replace")).splitlines()[-SHOWN_LINES:]
            raise CannotStart(
                f"`{shlex.join(command[1:])}` failed (exit status {done.returncode}). Its last words:\n"
                + "\n".join(f"  {line}" for line in last)
            )
        return done.stdout.rstrip()


def wait_until_ready(url: str) -> None:
    """Returns when /readyz is 200. Raises CannotStart after READY_TIMEOUT with the parts that are missing."""
    deadline = time.monotonic() + READY_TIMEOUT
    missing = "the web server does not answer"
    while time.monotonic() < deadline:
        try:
            answer = httpx.get(f"{url}/readyz", timeout=15)
            if answer.status_code == 200:
                return
            parts = answer.json()["parts"]
            missing = "; ".join(f"{name} {part['error']}" for name, part in parts.items() if not part["ok"])
        except (httpx.HTTPError, ValueError, KeyError):
            pass
        time.sleep(1)
    raise CannotStart(f"Kwise was not ready after {READY_TIMEOUT} s: {missing}.")


def _port(variable: str, default: int) -> int:
    value = os.environ.get(variable) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise CannotStart(f"{variable} is {value!r}; a port is a number from 1 to 65535.")
    return int(value)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m config.supervisor", description="All of Kwise on one machine.")
    parser.add_argument("what", choices=["demo"], help="demo: every process, with demo content, until Ctrl-C")
    parser.parse_args(arguments)
    from django.core.exceptions import ImproperlyConfigured
    from environs import EnvError

    try:
        demo()
    except (CannotStart, embedded.EmbeddedError, ImproperlyConfigured, EnvError) as error:
        print(f"\nKwise stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    say("Kwise has stopped; everything is kept.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
