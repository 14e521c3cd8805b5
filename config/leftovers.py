"""Processes that Kwise started and that must not outlive it, found by a mark in their environment.

A child inherits the mark whatever else it does: leave its group, lose its parent, start children. So nothing escapes,
and nothing of anybody else's is touched.

`python leftovers.py LOCK MARK`, started by the supervisor, waits until the supervisor is gone, even by SIGKILL, and
then ends what it left. Standard library and psutil only, run by path.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

import psutil

VARIABLE = "KWISE_SUPERVISOR"


def marked(mark: str) -> list[psutil.Process]:
    """The living processes with this mark, but not the asking one."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(VARIABLE) == mark:
                found.append(process)
    return found


def end(mark: str, patience: float) -> list[str]:
    """Asks the marked processes to end, and after `patience` seconds kills them. Returns those it had to kill."""
    for process in marked(mark):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    killed = []
    # Again until none is found: one may have started another in between.
    while left:
        for process in left:
            with contextlib.suppress(psutil.Error):
                killed.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
                process.kill()
        time.sleep(0.1)
        left = marked(mark)
    return killed


if __name__ == "__main__":
    # Whoever stops the supervisor by Ctrl-C or a signal to its group does not stop this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with open(sys.argv[1], "r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        end(sys.argv[2], patience=20)
