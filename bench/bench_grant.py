"""A grant among 1,000,000 waiting tasks against one among 1,000, and for a labeler who has done 5,000 of them.

In a database of its own on the embedded PostgreSQL, with durable commits as in production. `python -m bench.bench_grant
SMALL LARGE DONE` takes other sizes.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

K = 6
OVERLAP = 2
GRANTS = 300  # timed in each setting, after WARM that are not
WARM = 30

# One source user and one prompt a task; a completion's text is its number. Completions only where a grant will come.
FILL = """
    INSERT INTO labeling_prompt
        (id, source_id, source_user_id, external_id, messages, text_sha256, use_case, consent, state)
    SELECT md5('p' || n)::uuid, {source}, {writer}, '', '[{{"role": "user", "content": "?"}}]', {batch} || '-' || n, '',
        '', 'accepted'
    FROM generate_series({start}, {end}) n;
    INSERT INTO labeling_batchitem (batch_id, prompt_id, external_id, k, state, error, note)
    SELECT {batch}, md5('p' || n)::uuid, '', {k}, 'filled', '', '' FROM generate_series({start}, {end}) n;
    INSERT INTO labeling_task (id, item_id, batch_id, kind)
    SELECT md5('t' || item.id)::uuid, item.id, {batch}, 'ranking'
    FROM labeling_batchitem item WHERE item.batch_id = {batch} ORDER BY item.id;
    INSERT INTO labeling_seat (task_id, batch_id, number, state, groups)
    SELECT task.id, {batch}, number, 'free', '{{training}}'
    FROM labeling_task task, generate_series(0, {overlap} - 1) number
    WHERE task.batch_id = {batch} ORDER BY task.item_id, number;
    INSERT INTO labeling_completion (id, item_id, text, text_sha256)
    SELECT gen_random_uuid(), item.id, c::text, c::text FROM generate_series(1, {k}) c, (
        SELECT id FROM labeling_batchitem WHERE batch_id = {batch} ORDER BY id LIMIT {completed}
    ) item;
"""
# What the labeler would have left behind: an answered seat in each of the first tasks, and a place in the queue.
DO = """
    UPDATE labeling_seat seat SET state = 'filled' FROM (
        SELECT id FROM labeling_task WHERE batch_id = {batch} ORDER BY item_id LIMIT {done}
    ) task WHERE seat.task_id = task.id AND seat.number = 1;
    INSERT INTO labeling_lease (id, task_id, seat_id, labeler_id, state, order_shown, order_ranked, expires_at,
        skip_reason, draft, draft_version, active_seconds)
    SELECT gen_random_uuid(), task_id, id, {labeler}, 'submitted', '[]', '[]', now(), '', '{{}}', 0, 0
    FROM labeling_seat WHERE batch_id = {batch} AND state = 'filled' AND number = 1;
    INSERT INTO labeling_queueposition (labeler_id, batch_id, place)
    SELECT {labeler}, {batch}, max(id) FROM labeling_seat WHERE batch_id = {batch} AND state = 'filled' AND number = 1;
"""


def main(small: int = 1_000, large: int = 1_000_000, done: int = 5_000) -> None:
    with tempfile.TemporaryDirectory(prefix="kwise-bench-") as home:
        os.environ.update(KWISE_HOME=home, DATABASE_URL="", REDIS_URL="", LOG_LEVEL="ERROR")
        os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", SECRET_KEY="of no worth outside this benchmark")
        from config import embedded

        embedded.ensure(Path(home), redis=False)
        try:
            measure(small, large, done)
        finally:
            from django.db import connections

            connections.close_all()
            connections["default"].close_pool()
            embedded.release(Path(home))


def measure(small: int, large: int, done: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from labeling.people.models import User

    call_command("migrate", verbosity=0)
    ada, old = (User.objects.create_user(name) for name in ("ada", "old"))
    sizes = {"k": K, "overlap": OVERLAP, "grants": GRANTS}

    few = fill(1, small)
    among_few = time_grants(ada, "few waiting", waiting=small, **sizes)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE labeling_batch SET state = 'closed' WHERE id = %s", [few])
    many = fill(small + 1, small + large, completed=done + 3 * (GRANTS + WARM))
    among_many = time_grants(ada, "many waiting", waiting=large, **sizes)
    with connection.cursor() as cursor:
        cursor.execute(DO.format(batch=many, done=done, labeler=old.pk))
        cursor.execute("ANALYZE")
    after_many = time_grants(old, "many waiting and many done", waiting=large, done=done, **sizes)
    walking = time_grants(
        old, "the same, walking past all that is done", forget=True, waiting=large, done=done, **sizes
    )
    figure("many waiting against few", among_many / among_few, "1", waiting=[large, small])
    figure("many done against none", after_many / among_many, "1", waiting=large, done=done)
    figure("walking against going on from a position", walking / after_many, "1", waiting=large, done=done)


def fill(start: int, end: int, completed: int = GRANTS + WARM) -> int:
    """A batch of ranking tasks numbered `start` to `end`; its id."""
    from django.db import connection

    from labeling.intake.models import Source, SourceUser
    from labeling.sampling.models import Batch

    source, _ = Source.objects.get_or_create(name="bench")
    writer, _ = SourceUser.objects.get_or_create(source=source, external_id="u", defaults={"split": "train"})
    batch = Batch.objects.create(name=f"from {start}", state="open", groups=["training"], overlap=OVERLAP)
    numbers = {"start": start, "end": end, "batch": batch.pk, "source": source.pk, "writer": writer.pk}
    with connection.cursor() as cursor:
        cursor.execute(FILL.format(k=K, overlap=OVERLAP, completed=completed, **numbers))
        cursor.execute("ANALYZE")
    return batch.pk


def time_grants(labeler, name: str, *, forget: bool = False, **sizes: int) -> float:
    """The median of GRANTS grants, ms, each of a task that is answered before the next.

    `forget` takes the labeler's position away before each, so that all that was done is walked past.
    """
    from labeling.leasing.models import Lease, QueuePosition, Seat
    from labeling.leasing.services import grant_lease

    times = []
    for _ in range(WARM + GRANTS):
        if forget:
            QueuePosition.objects.filter(labeler=labeler).delete()
        started = time.perf_counter()
        lease = grant_lease(labeler=labeler)
        times.append((time.perf_counter() - started) * 1e3)
        assert len(lease.order_shown) == K
        Lease.objects.filter(pk=lease.pk).update(state="submitted")
        Seat.objects.filter(pk=lease.seat_id).update(state="filled")
    times = sorted(times[WARM:])
    median = statistics.median(times)
    figure(f"grant, {name}: median", median, "ms", **sizes)
    figure(f"grant, {name}: 95th percentile", times[int(len(times) * 0.95)], "ms", **sizes)
    return median


def figure(name: str, value: float, unit: str, **sizes: object) -> None:
    line = {"benchmark": "grant", "figure": name, "value": round(value, 3), "unit": unit, **sizes}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
