"""A grant among 1,000,000 waiting tasks against one among 1,000, and for a labeler who has done 5,000 of them.

In a database of its own on the embedded PostgreSQL, with durable commits as in production.
The ratios are of CPU, of this process and the database together: wall time follows the disk and whatever else runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from pathlib import Path

from bench import stack
from bench.stack import OVERLAP, K, backend_pid, execute, filled, percentile, settle

GRANTS = 300  # timed in each setting, after WARM that are not
WARM = 30
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
figure = partial(stack.figure, "grant")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000, help="tasks waiting (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="tasks waiting (%(default)s)")
    parser.add_argument("--done", type=int, default=5_000, help="tasks the labeler has done (%(default)s)")
    args = parser.parse_args()
    with stack.stack(redis=False):
        measure(args.few, args.many, args.done)


def measure(few: int, many: int, done: int) -> None:
    from labeling.people.models import User

    ada, old = (User.objects.create_user(name) for name in ("ada", "old"))
    sizes = {"k": K, "overlap": OVERLAP, "grants": GRANTS}
    with filled(few, completed=GRANTS + WARM):
        among_few = time_grants(ada, "few waiting", waiting=few, **sizes)
    with filled(many, completed=done + 3 * (GRANTS + WARM)) as batch:
        among_many = time_grants(ada, "many waiting", waiting=many, **sizes)
        execute(DO.format(batch=batch, done=done, labeler=old.pk))
        settle()
        after_many = time_grants(old, "many waiting and many done", waiting=many, done=done, **sizes)
        walking = time_grants(
            old, "the same, walking past all that is done", forget=True, waiting=many, done=done, **sizes
        )
    figure("grant: many waiting against few", among_many / among_few, "1", waiting=[many, few])
    figure("grant: many done against none", after_many / among_many, "1", waiting=many, done=done)
    figure("grant: walking against going on from a position", walking / after_many, "1", waiting=many, done=done)


def time_grants(labeler, name: str, *, forget: bool = False, **sizes: int) -> float:
    """The median CPU ms of GRANTS grants, each of a task that is answered before the next; prints wall times as well.

    `forget` takes the labeler's position away before each, so that all that was done is walked past.
    """
    from labeling.leasing.models import Lease, QueuePosition, Seat
    from labeling.leasing.services import grant_lease

    backend = backend_pid()
    times, costs = [], []
    for _ in range(WARM + GRANTS):
        if forget:
            QueuePosition.objects.filter(labeler=labeler).delete()
        used, started = cpu(backend), time.perf_counter()
        lease = grant_lease(labeler=labeler)
        times.append((time.perf_counter() - started) * 1e3)
        costs.append((cpu(backend) - used) * 1e3)
        assert len(lease.order_shown) == K
        Lease.objects.filter(pk=lease.pk).update(state="submitted")
        Seat.objects.filter(pk=lease.seat_id).update(state="filled")
    times, cost = times[WARM:], statistics.median(costs[WARM:])
    figure(f"grant, {name}: median", statistics.median(times), "ms", **sizes)
    figure(f"grant, {name}: 95th percentile", percentile(times, 0.95), "ms", **sizes)
    figure(f"grant, {name}: CPU", cost, "ms", **sizes)
    return cost


def cpu(backend: int) -> float:
    """CPU seconds so far of this process and of its PostgreSQL backend, to the microsecond."""
    return time.process_time() + int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e9


if __name__ == "__main__":
    main()
