"""gunicorn's settings: `gunicorn --config config/gunicorn.py config.wsgi`. Requests are logged by django-structlog."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "4"))  # processes
# Requests at once in each. One: threads of a process take turns at its interpreter, which costs more than it gains.
threads = int(os.environ.get("WEB_THREADS", "1"))
# Not "sync", whatever the number of threads: idle connections, which browsers open in advance, wait outside.
worker_class = "gthread"
if threads == 1:
    # The thread keeps its one connection to the database; there is nobody to share it with.
    os.environ.setdefault("DATABASE_POOL_SIZE", "0")
timeout = 60  # seconds without a sign of life of a worker process
graceful_timeout = 10  # seconds for open requests when stopping
keepalive = 5  # seconds
# A worker that leaked memory is replaced; the spread keeps them from going all at once.
max_requests = 20_000
max_requests_jitter = 2_000
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a slow disk must not look like a hung worker
control_socket_disable = True


def on_starting(server) -> None:
    """Once, before there are workers: their pages name static files by what is collected, and draw with a library whose
    import takes seconds, which each has from here."""
    manage = Path(__file__).resolve().parent.parent / "manage.py"
    subprocess.run([sys.executable, manage, "collectstatic", "--no-input", "--verbosity=0"], check=True)
    for part in ("figure", "dates", "backends.backend_svg"):
        importlib.import_module(f"matplotlib.{part}")
