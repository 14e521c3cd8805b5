"""Run a trainer so that it never outlives its worker: `python guard.py PARENT_PID COMMAND…` becomes COMMAND.

The kernel sends the trainer SIGTERM, on which it saves a checkpoint and ends, when the worker dies in whatever way. Set
here, in the process that becomes the trainer, and not between fork and exec of a worker that has threads. Only Linux
knows how; elsewhere the lock on the run folder still keeps an orphan and the next attempt apart.

Standard library only: it is run by its path, without Kwise.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the kernel was asked to tell
            sys.exit(128 + signal.SIGTERM)
    os.execvp(command[0], command)
