"""The queue: every free seat is reached sooner or later, and nothing that was passed is walked past again."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from labeling.leasing import services
from labeling.leasing.models import QueuePosition, Seat
from labeling.leasing.queries import work_of
from labeling.leasing.services import grant_lease, return_lease, skip_lease
from tests import factories

pytestmark = pytest.mark.django_db


def answer_next(labeler):
    """Take the next task and answer it by the shortest way; the task."""
    lease = grant_lease(labeler=labeler)
    Seat.objects.filter(pk=lease.seat_id).update(state="filled")
    type(lease).objects.filter(pk=lease.pk).update(state="submitted")
    return lease.task


def rows_looked_at(labeler) -> int:
    """Seats that one grant reads, the one it takes twice, by the database's own count."""
    asked = services._asked(labeler, "open", None, None) | {"anew": False}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE labeling_seat, labeling_lease, labeling_batch")
        # So few rows that reading all would do; what counts is that the index leads to the ones that matter.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SAVEPOINT before")
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + services.TAKE_NEXT, asked)
        (plan,) = cursor.fetchone()
        cursor.execute("ROLLBACK TO SAVEPOINT before")

    def seats(node: dict) -> int:
        below = sum(seats(child) for child in node.get("Plans", []))
        if node.get("Relation Name") != "labeling_seat" or "Scan" not in node["Node Type"]:
            return below
        return below + (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]

    return seats(plan[0]["Plan"])


def test_what_a_labeler_has_done_is_not_walked_past_again(ada):
    batch = factories.make_batch(overlap=3)
    for _ in range(60):
        factories.make_task(batch=batch)
    done = [answer_next(ada) for _ in range(40)]
    assert len(set(done)) == 40
    # Two more free seats of the task just done stand before the next one.
    assert rows_looked_at(ada) <= 4
    # The twin: without the position all that was done is read.
    QueuePosition.objects.all().delete()
    assert rows_looked_at(ada) > 80


def test_seats_of_other_groups_batches_are_never_read(ada):
    others = factories.make_batch(groups=["held_out"], priority=9)
    for _ in range(30):
        factories.make_task(batch=others)
    factories.make_task()
    assert rows_looked_at(ada) == 2


def test_freed_seat_is_reached_by_who_had_passed_it(ada, bo):
    batch = factories.make_batch()
    first, second, third = (factories.make_task(batch=batch) for _ in range(3))
    held = grant_lease(labeler=bo)
    assert held.task == first
    assert answer_next(ada) == second
    return_lease(lease_id=held.pk, labeler=bo)
    assert [answer_next(ada), answer_next(ada)] == [third, first]


def test_skipped_task_goes_to_somebody_else_and_never_back(ada, bo):
    batch = factories.make_batch()
    first, second = (factories.make_task(batch=batch) for _ in range(2))
    skip_lease(lease_id=grant_lease(labeler=ada).pk, labeler=ada, reason="not my subject")
    assert answer_next(ada) == second
    assert grant_lease(labeler=ada) is None
    assert answer_next(bo) == first


def test_late_tasks_and_late_batches_are_reached(ada):
    batch = factories.make_batch()
    first = factories.make_task(batch=batch)
    assert answer_next(ada) == first
    assert grant_lease(labeler=ada) is None
    late = factories.make_task(batch=batch)
    later = factories.make_task()
    assert [answer_next(ada), answer_next(ada)] == [late, later]


def test_batch_that_becomes_urgent_is_next_and_the_old_one_goes_on_after(ada):
    old, new = factories.make_batch(), factories.make_batch()
    tasks = [factories.make_task(batch=old) for _ in range(2)]
    urgent = factories.make_task(batch=new)
    assert answer_next(ada) == tasks[0]
    services.set_priority(batch=new, priority=5, actor=None)
    assert [answer_next(ada), answer_next(ada)] == [urgent, tasks[1]]


def test_seat_that_a_failed_grant_left_in_front_is_found_at_last(ada, bo):
    batch = factories.make_batch()
    first, second = (factories.make_task(batch=batch) for _ in range(2))
    # Somebody held the first seat locked, so that Ada was given the second; then that somebody's grant failed.
    QueuePosition.objects.create(labeler=ada, batch=batch, place=first.seats.get().pk)
    assert answer_next(ada) == second
    assert answer_next(ada) == first


def test_another_group_opens_what_was_passed(ada):
    batch = factories.make_batch(groups=["training", "researcher"])
    task, last = (factories.make_task(batch=batch) for _ in range(2))
    Seat.objects.filter(task=task).update(groups=["researcher"])
    assert answer_next(ada) == last
    type(ada).objects.filter(pk=ada.pk).update(group="researcher")
    ada.refresh_from_db()
    assert answer_next(ada) == task


def test_position_never_goes_back(ada):
    batch = factories.make_batch()
    QueuePosition.objects.create(labeler=ada, batch=batch, place=10**12)
    task = factories.make_task(batch=batch)
    assert answer_next(ada) == task
    assert QueuePosition.objects.get().place == 10**12


def test_the_page_counts_what_a_grant_would_give(ada, bo):
    batch = factories.make_batch(overlap=2)
    for _ in range(3):
        factories.make_task(batch=batch)
    assert work_of(ada).waiting == 3
    answer_next(ada)
    assert (work_of(ada).waiting, work_of(bo).waiting) == (2, 3)
    lease = grant_lease(labeler=ada)
    return_lease(lease_id=lease.pk, labeler=ada)
    assert work_of(ada).waiting == 2


def test_closed_and_imported_batches_wait_for_nobody(ada):
    for change in ({"state": "closed"}, {"imported": True}):
        factories.make_task(batch=factories.make_batch(**change))
    assert grant_lease(labeler=ada) is None
    assert work_of(ada).waiting == 0


@pytest.mark.django_db(transaction=True)
def test_freed_places_are_numbers_of_their_own(ada, bo):
    batch = factories.make_batch(overlap=2)
    factories.make_task(batch=batch)
    leases = [grant_lease(labeler=person) for person in (ada, bo)]
    with transaction.atomic():
        type(leases[0]).objects.update(expires_at="2020-01-01T00:00Z")
    assert services.expire_leases() == 2
    freed = list(Seat.objects.values_list("freed", flat=True))
    assert len(set(freed)) == 2
    assert min(freed) > max(Seat.objects.values_list("id", flat=True))
