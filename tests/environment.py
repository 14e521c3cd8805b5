"""The environment of the tests, set before Django reads its settings; loaded by `-p tests.environment`.

Without DATABASE_URL and REDIS_URL the tests start servers of their own under a folder of their own: each of several
processes (`-n`) its own, so that none meets another's rows, messages or ports.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("KWISE_HOME", str(ROOT / ".kwise" / "test"))
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["KWISE_HOME"] += f"-{worker}"
os.environ.setdefault("SECRET_KEY", "a key for tests alone, of no worth anywhere else at all")
os.environ.setdefault("LOG_LEVEL", "WARNING")
