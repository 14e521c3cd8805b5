"""/healthz: this process answers. /readyz: everything a labeler, admin and researcher need is there.

Restart a process when /healthz fails; take it out of rotation, or look at what is missing, when /readyz does. Answers
name the part and nothing else: addresses and errors go to the log.
"""

from __future__ import annotations

import threading
import time

import httpx
import psycopg
import redis
import structlog
from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config import heartbeat

log = structlog.get_logger(__name__)

TIMEOUT = 3  # seconds each part may take
# Anyone may ask, so a flood of questions costs one look at the parts in this time.
KEPT_FOR = 1.0  # seconds

_lock = threading.Lock()
_last: tuple[float, dict[str, dict]] = (-KEPT_FOR, {})


@require_safe
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"ok": True})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    parts = look()
    ok = all(part["ok"] for part in parts.values())
    return JsonResponse({"ok": ok, "parts": parts}, status=200 if ok else 503)


def look() -> dict[str, dict]:
    """Each part's name with `ok` and, where it is not, a sentence; at most KEPT_FOR seconds old."""
    global _last
    with _lock:
        if time.monotonic() - _last[0] >= KEPT_FOR:
            parts = {"database": _database(), "redis": _part(True)}
            try:
                alive = heartbeat.alive()
            except (redis.RedisError, OSError) as error:
                log.warning("not_ready", part="redis", error=str(error))
                parts["redis"] = _part(False, "does not answer")
                alive = set()
            for name, part in (("worker", "default"), ("gpu_worker", "gpu"), ("scheduler", "scheduler")):
                parts[name] = _part(part in alive, "has given no sign of life lately; see its log")
            parts["model_server"] = _model_server()
            _last = (time.monotonic(), parts)
        return _last[1]


def _part(ok: bool, sentence: str = "") -> dict:
    return {"ok": True} if ok else {"ok": False, "error": sentence}


def _database() -> dict:
    # A connection of its own: the pool may be full of slow pages, which is not the database being away.
    parameters = {k: v for k, v in connection.get_connection_params().items() if k != "pool"}
    try:
        with psycopg.connect(**(parameters | {"connect_timeout": TIMEOUT, "autocommit": True})) as own:
            applied = own.execute("SELECT to_regclass('django_migrations') IS NOT NULL").fetchone()[0]
    except psycopg.Error as error:
        log.warning("not_ready", part="database", error=str(error))
        return _part(False, "does not answer")
    return _part(applied, "has no tables yet; run `./manage.py migrate`")


def _model_server() -> dict:
    server = settings.MODEL_SERVER_URL.rstrip("/").removesuffix("/v1")
    try:
        answer = httpx.get(f"{server}/health", timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.warning("not_ready", part="model_server", error=str(error))
        return _part(False, "does not answer; new completions have to wait, ranking goes on")
    return _part(answer.is_success, f"answers with status {answer.status_code}")
