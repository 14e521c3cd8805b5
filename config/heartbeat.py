"""Signs of life of the workers and the scheduler, for /readyz.

Each says "alive" under its name in Redis, and the word expires. Redis may be emptied at any moment: the next beat, two
seconds later, writes it again. `celery inspect ping` answers the same question, but takes a second and more every time.
"""

from __future__ import annotations

import functools
import sys

import redis
import structlog
from celery import signals
from django.conf import settings

log = structlog.get_logger(__name__)

PARTS = ("default", "gpu", "scheduler")  # the two queues' workers, and Celery beat
EXPIRES = 30  # seconds: fifteen missed beats of a worker
SCHEDULER_EXPIRES = 4 * 15  # seconds: four sweeps missed


@functools.cache
def client() -> redis.Redis:
    """This process's Redis client, with time-outs short enough for a health check (seconds)."""
    return redis.Redis.from_url(settings.BROKER_URL, socket_timeout=2, socket_connect_timeout=2)


def say_alive(part: str, seconds: int) -> None:
    """Redis being away is no reason to stop working, so it is only logged."""
    try:
        client().set(f"kwise:alive:{part}", "1", ex=seconds)
    except redis.RedisError as error:
        log.warning("alive_not_said", part=part, error=str(error))


def alive() -> set[str]:
    """The parts that have been heard of lately. Raises redis.RedisError when Redis does not answer."""
    heard = client().mget([f"kwise:alive:{part}" for part in PARTS])
    return {part for part, word in zip(PARTS, heard, strict=True) if word is not None}


@signals.heartbeat_sent.connect
def _worker_beats(sender, **_: object) -> None:
    # Sent every two seconds by the loop that takes messages, so a worker whose loop hangs falls silent.
    from config.celery import app

    for queue in app.amqp.queues.consume_from:
        say_alive(queue, EXPIRES)


@signals.beat_init.connect
def _scheduler_starts(**_: object) -> None:
    say_alive("scheduler", SCHEDULER_EXPIRES)


@signals.before_task_publish.connect
def _scheduler_sends(sender: str | None = None, **_: object) -> None:
    if sender == "kwise.sweep":  # sent by nobody but the scheduler
        say_alive("scheduler", SCHEDULER_EXPIRES)


if __name__ == "__main__":
    # `python -m config.heartbeat scheduler`: a container's health check.
    sys.exit(0 if sys.argv[1] in alive() else f"{sys.argv[1]} has given no sign of life lately")
