"""Real threads on real connections. Each test commits, so each takes `transactional_db`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction

from labeling.leasing.models import Lease

# Longer than any test waits for another thread; a broken barrier ends the test instead of hanging it.
PATIENCE = 10  # seconds


def together(*functions: Callable[[], object]) -> list[object]:
    """What each function returned or raised, all started at one moment, each on a connection of its own."""
    start = threading.Barrier(len(functions))
    results: list[object] = [None] * len(functions)

    def run(index: int, function: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE)
            results[index] = function()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(3 * PATIENCE)
        assert not thread.is_alive(), "a thread hangs: probably a deadlock"
    return results


def second_while_the_first_is_open(first, second) -> list:
    """What each gives, the second begun in another session before the first commits and ended after."""
    results = []
    thread = threading.Thread(target=lambda: results.extend(together(second)))
    with transaction.atomic():
        results.append(first())
        thread.start()
        wait_until_blocked()
    thread.join(PATIENCE)
    return results


def wait_until_blocked() -> None:
    """Return once another session waits for a lock, which shows that its snapshot is taken."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted"
    for _ in range(int(PATIENCE / 0.01)):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone():
                return
        threading.Event().wait(0.01)
    raise AssertionError("the other session never reached the gate")


def kinds(results: list[object]) -> list[str]:
    """The names of the exceptions among `results`, sorted."""
    return sorted(type(result).__name__ for result in results if isinstance(result, Exception))


@pytest.fixture
def people(transactional_db) -> Callable[[int], list]:
    from labeling.people.models import User

    def make(count: int) -> list:
        return [User.objects.create_user(f"labeler-{n}", password="a long password") for n in range(count)]

    return make


@contextmanager
def without_index(name: str) -> Iterator[None]:
    """The leases without one of their unique indexes: shows what a guard in the code keeps away by itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_indexdef(%s::regclass)", [name])
        (definition,) = cursor.fetchone()
        cursor.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        with transaction.atomic():
            Lease.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(definition)
