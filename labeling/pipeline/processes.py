"""A trainer as a subprocess: one per run folder, in a process group of its own, never left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.utils.translation import gettext as _

from labeling.refusals import TryLater

GUARD = Path(__file__).with_name("guard.py")
LOCK, PID, LOG = "lock", "trainer.pid", "log.txt"
SAVING = 120  # seconds a trainer may take to save its checkpoint after SIGTERM, before SIGKILL
# What a trainer has no business knowing: it reads files and writes files.
SECRETS = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "PROJECT_SALT")


@contextmanager
def lock_folder(folder: Path, *, alive: Callable[[], None], patience: float = SAVING) -> Iterator[int]:
    """Hold the run folder's lock; yields the descriptor, which the trainer inherits so that it holds the lock too.

    An orphan of an earlier attempt still has it: it is told to save and end, then made to. `alive` is called while
    waiting. Raises TryLater when the lock is held from where this machine cannot reach, e.g. over a shared disk.
    """
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        started = time.monotonic()
        told: set[int] = set()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = time.monotonic() - started
            number = signal.SIGTERM if waited < patience else signal.SIGKILL
            if waited > patience + 10:
                raise TryLater(
                    _(
                        "Another trainer still writes to {folder} and could not be ended from this machine. End it "
                        "there; this run goes on by itself afterwards."
                    ).format(folder=folder)
                )
            orphan = orphan_of(folder)
            if orphan is not None and number not in told:
                told.add(number)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(orphan.pid, number)
            alive()
            time.sleep(0.2)
        yield descriptor
    finally:
        os.close(descriptor)


def orphan_of(folder: Path) -> psutil.Process | None:
    """The trainer that an earlier attempt started on this folder, if it still runs on this machine."""
    try:
        pid, created = (folder / PID).read_text().split()
        process = psutil.Process(int(pid))
        # A pid alone may be another process by now.
        same = abs(process.create_time() - float(created)) < 2
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


@contextmanager
def trainer(command: Sequence[str], *, folder: Path, lock: int) -> Iterator[subprocess.Popen]:
    """Start `command` its output appended to the folder's log.txt; leaving the block ends it and its children."""
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment |= {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    # Its threads sleep while they wait: spinning, they would starve the server and the workers beside it.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"} | environment
    guarded = [sys.executable, "-I", str(GUARD), str(os.getpid()), *command]
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).resolve().parents[2],
            env=environment,
            pass_fds=[lock],
            start_new_session=True,
        )
    try:
        with contextlib.suppress(psutil.Error):
            (folder / PID).write_text(f"{process.pid} {psutil.Process(process.pid).create_time()}")
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen, *, patience: float = SAVING) -> None:
    """SIGTERM to the trainer's whole group, SIGKILL to what is left of it when the patience (seconds) is over."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    # Its data loaders or ranks may outlive a leader that crashed.
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
