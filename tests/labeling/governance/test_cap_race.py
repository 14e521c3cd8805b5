"""Thirty-two importers of one user's prompts: the cap is exact, and the same text goes in once."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from django.db import IntegrityError, connection

from labeling.governance import services
from labeling.intake.models import DEFAULT_CAP, Prompt, SourceUser

THREADS, EACH = 32, 15  # 480 prompts for 200 places


def race(rows_of, *, threads: int = THREADS) -> tuple[list, list]:
    """Run that many imports at once; (finished imports, errors)."""
    start, finished, errors = threading.Barrier(threads), [], []

    def work(number: int) -> None:
        start.wait()
        try:
            finished.append(services.import_prompts(rows=enumerate(rows_of(number), 1), name=str(number)))
        except IntegrityError as error:
            errors.append(error)
        finally:
            connection.close()

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return finished, errors


def different(number: int) -> list[dict]:
    return [{"prompt": f"{number}/{n}", "user_id": "one"} for n in range(EACH)]


@pytest.mark.django_db(transaction=True)
def test_cap_is_exact_under_thirty_two_importers():
    finished, errors = race(different)
    user = SourceUser.objects.get()
    assert errors == []
    assert user.prompt_count == Prompt.objects.count() == DEFAULT_CAP
    assert sum(done.accepted for done in finished) == DEFAULT_CAP
    assert sum(done.rejected.get("user_cap", 0) for done in finished) == THREADS * EACH - 200


@pytest.mark.django_db(transaction=True)
def test_same_prompts_from_thirty_two_importers_go_in_once():
    finished, errors = race(lambda _: [{"prompt": str(n), "user_id": "one"} for n in range(EACH)])
    assert errors == []
    assert sum(done.accepted for done in finished) == Prompt.objects.count() == EACH
    assert SourceUser.objects.get().prompt_count == EACH


@pytest.mark.django_db(transaction=True)
def test_same_prompts_under_thirty_two_sources_go_in_once():
    """No lock is shared here: the unique text decides, and nobody waits in a circle."""
    finished, errors = race(lambda number: [{"prompt": str(n), "source": f"s{number}"} for n in range(EACH)])
    assert errors == []
    assert sum(done.accepted for done in finished) == Prompt.objects.count() == EACH
    assert sum(SourceUser.objects.values_list("prompt_count", flat=True)) == EACH


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_counts_go_wrong(monkeypatch):
    """The twin: take the locks away, and the race is lost in one way or another."""
    # The source and its user are there, or whoever makes them would hold the others back.
    services.import_prompts(rows=[(1, {"prompt": "first", "user_id": "one"})], name="first")
    gate = threading.Barrier(8)  # no more than the pool has connections for, since all wait with one in hand
    real = services._judge

    def judge_together(*arguments):
        judged = real(*arguments)
        with suppress_broken(gate):
            gate.wait(timeout=5)
        return judged

    @contextmanager
    def suppress_broken(barrier):
        try:
            yield
        except threading.BrokenBarrierError:
            barrier.abort()

    monkeypatch.setattr(services.Source.objects, "select_for_update", lambda **_: services.Source.objects.all())
    monkeypatch.setattr(services.SourceUser.objects, "select_for_update", lambda **_: services.SourceUser.objects.all())
    monkeypatch.setattr(services, "_judge", judge_together)
    race(different, threads=8)
    user = SourceUser.objects.get()
    assert Prompt.objects.count() > 200 or user.prompt_count != Prompt.objects.count()
