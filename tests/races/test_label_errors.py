"""Two who look for errors at one moment, and answers that come in while suspicion is computed."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from django.db import connection

from labeling.label_errors import queries, services
from labeling.label_errors.models import ErrorItem, ErrorVerdict, Suspicion
from labeling.people.models import User
from tests.factories import make_batch, make_ranking, make_task
from tests.races.conftest import PATIENCE, kinds, second_while_the_first_is_open, together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reviewers(people) -> list[User]:
    """Two of them, and two answers to look at."""
    labelers = people(2)
    task = make_task(batch=make_batch(overlap=2))
    make_ranking(task=task, labeler=labelers[0])
    make_ranking(task=task, labeler=labelers[1], ranks=[4, 3, 2, 1])
    services.refresh()
    found = [User.objects.create_user(f"r-{n}", role="researcher", group="researcher") for n in range(2)]
    services.draw_answers(size=2, share=0, actor=found[0])
    return found


def test_two_get_two_answers(reviewers):
    for _ in range(5):
        results = together(*(partial(services.claim_next, reviewer=each) for each in reviewers))
        assert kinds(results) == []
        assert len({item.pk for item in results}) == 2
        ErrorItem.objects.update(claimed_by=None, claimed_until=None)


def test_one_who_asks_twice_gets_one(reviewers):
    results = together(*(partial(services.claim_next, reviewer=reviewers[0]) for _ in range(2)))
    assert kinds(results) == []
    assert len({item.pk for item in results}) == 1


def test_without_the_lock_the_index_refuses_the_second(reviewers, monkeypatch):
    monkeypatch.setattr(User.objects, "select_for_update", lambda **_: User.objects.all())
    results = second_while_the_first_is_open(
        partial(services.claim_next.__wrapped__, reviewer=reviewers[0]),
        partial(services.claim_next, reviewer=reviewers[0]),
    )
    assert kinds(results) == ["IntegrityError"]


def test_the_same_verdict_twice_at_once_is_said_once(reviewers):
    item = services.claim_next(reviewer=reviewers[0])
    judge = partial(services.judge, item_id=item.pk, reviewer=reviewers[0], verdict="error")
    results = together(judge, judge)
    assert kinds(results) == []
    assert ErrorVerdict.objects.count() == 1


def test_a_verdict_and_a_claim_that_ran_out(reviewers):
    """Whoever is first has it: never two verdicts of two people."""
    for _ in range(5):
        item = services.claim_next(reviewer=reviewers[0])
        if item is None:
            break
        with connection.cursor() as cursor:
            cursor.execute("UPDATE labeling_erroritem SET claimed_until = now() WHERE id = %s", [item.pk])
        results = together(
            partial(services.judge, item_id=item.pk, reviewer=reviewers[0], verdict="fine"),
            partial(services.claim_next, reviewer=reviewers[1]),
        )
        item.refresh_from_db()
        if item.judged_at is None:
            assert item.claimed_by == reviewers[1]
            assert kinds(results) == ["Conflict"]
        else:
            assert item.claimed_by == reviewers[0]
        ErrorItem.objects.filter(judged_at=None).update(claimed_by=None, claimed_until=None)


def older_writes_last(people) -> int:
    """How often the first answer is contradicted, after two computations met, the first begun before the second's
    answer was there."""
    one, two = people(2)
    task = make_task(batch=make_batch(overlap=2))
    make_ranking(task=task, labeler=one)
    services.refresh()

    def first() -> None:
        services.refresh_tasks([task.pk])

    def second() -> None:
        make_ranking(task=task, labeler=two, ranks=[4, 3, 2, 1])
        services.refresh_tasks([task.pk])

    results = second_while_the_first_is_open(first, second)
    assert kinds(results) == []
    return Suspicion.objects.get(ranking__labeler=one).contradicted


def test_who_computes_from_older_answers_does_not_write_last(people):
    assert older_writes_last(people) == 6


def test_one_worker_at_a_time_reads_new_answers(reviewers):
    make_ranking(task=make_task(), labeler=User.objects.create(username="more"))
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(hashtext('label errors refresh'))")
            taken.set()
            done.wait(PATIENCE)
            cursor.execute("SELECT pg_advisory_unlock_all()")

    def meanwhile() -> int:
        taken.wait(PATIENCE)
        try:
            return services.refresh()
        finally:
            done.set()

    assert together(hold, meanwhile)[1] == 0
    assert services.refresh() > 0


def test_two_draws_at_once_share_no_answer(reviewers, people):
    for number in range(6):
        make_ranking(task=make_task(), labeler=User.objects.create(username=f"more-{number}"))
    services.refresh()
    draw = partial(services.draw_answers, size=3, share=0, actor=reviewers[0])
    results = together(draw, draw)
    assert kinds(results) == []
    assert ErrorItem.objects.count() == 8
    assert queries.waiting_for(reviewers[0]) == 8


def test_without_the_turn_an_answer_would_be_drawn_twice(reviewers, monkeypatch):
    make_ranking(task=make_task(), labeler=User.objects.create(username="more"))
    services.refresh()
    monkeypatch.setattr(services, "take_turn", lambda: None)
    results = second_while_the_first_is_open(
        partial(services.draw_answers.__wrapped__, size=1, share=0, actor=reviewers[0]),
        partial(services.draw_answers, size=1, share=0, actor=reviewers[1]),
    )
    assert kinds(results) == ["IntegrityError"]
