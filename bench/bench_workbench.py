"""Forty simulated labelers, K = 6, over HTTP against gunicorn and PostgreSQL: what a task costs and how long one waits.

CPU ms for each task that is served and submitted (web and database processes, from /proc) and tasks/s without think
time, by API (token; a submit carries the next task) and as the page works (session, compressed answers; a submit begins
the task fetched ahead and carries the one behind it); p95 of fetch and submit with think time. Each with few tasks
waiting, with many, and for labelers who have done thousands, and the ratios: above 1 is worse than among few.
"""

from __future__ import annotations

import argparse
import os
import random
import threading
import time
from dataclasses import dataclass, field
from functools import partial

from bench import stack
from bench.labelers import Labeler, by_session, by_token
from bench.stack import OVERLAP, K, Web, execute, filled, percentile, session_cookie, settle

LABELERS = 40
WARM = 400  # tasks before each measurement: each worker has by then imported and prepared what it needs
DRAFTS = 1_000
# What labelers would have left behind: an answer by each in the first tasks, and a place in the queue.
DO = """
    INSERT INTO labeling_lease (id, task_id, labeler_id, state, order_shown, order_ranked, expires_at, ended_at,
        skip_reason, draft, draft_version, active_seconds)
    SELECT gen_random_uuid(), task.id, person.id, 'submitted', '[]', '[]', now(), now() - interval '2 days',
        '', '{{}}', 0, 0
    FROM labeling_user person,
        (SELECT id FROM labeling_task WHERE batch_id = {batch} ORDER BY item_id LIMIT {done}) task
    WHERE person.username LIKE 'bench-%';
    UPDATE labeling_seat seat SET state = 'filled'
    FROM (SELECT id FROM labeling_task WHERE batch_id = {batch} ORDER BY item_id LIMIT {done}) task
    WHERE seat.task_id = task.id AND seat.number = 0;
    INSERT INTO labeling_queueposition (labeler_id, batch_id, place)
    SELECT person.id, {batch}, last.place FROM labeling_user person, (
        SELECT max(id) AS place FROM labeling_seat WHERE batch_id = {batch} AND state = 'filled'
    ) last WHERE person.username LIKE 'bench-%';
"""
figure = partial(stack.figure, "workbench")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000, help="tasks waiting (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="tasks waiting (%(default)s)")
    parser.add_argument("--done", type=int, default=5_000, help="tasks done by each labeler (%(default)s)")
    parser.add_argument("--tasks", type=int, default=2_000, help="in each measurement at saturation (%(default)s)")
    parser.add_argument("--thought", type=int, default=1_200, help="tasks in each with think time (%(default)s)")
    parser.add_argument("--think", type=float, default=2.0, help="seconds of think time (%(default)s)")
    parser.add_argument("--workers", type=int, default=4, help="of gunicorn (%(default)s)")
    parser.add_argument("--cores", default="0,1", help="for web and database; the labelers share them (%(default)s)")
    args = parser.parse_args()
    os.sched_setaffinity(0, {int(core) for core in args.cores.split(",")} & os.sched_getaffinity(0))
    with stack.stack():
        measure(args)


def measure(args: argparse.Namespace) -> None:
    from labeling.people.models import User
    from labeling.people.services import create_token

    people = [User.objects.create_user(f"bench-{n}") for n in range(LABELERS)]
    by = {
        "api": [by_token(create_token(user=person, name="bench")[1]) for person in people],
        "page": [by_session(session_cookie(person)) for person in people],
    }
    sizes = {"labelers": LABELERS, "k": K, "workers": args.workers, "cores": len(os.sched_getaffinity(0))}
    # As much for each measurement, so that the seats that go in one are there for the next.
    needed = (2 * (args.tasks + WARM) + args.thought) // OVERLAP + 2 * LABELERS
    few, many = max(args.few, needed), max(args.many, needed)
    with Web(workers=args.workers) as web:
        with filled(few):
            among_few = all_of(web, by, args, waiting=few, **sizes)
            measure_drafts(web, by["page"], **sizes)
        with filled(args.done + few) as batch:
            execute(DO.format(batch=batch, done=args.done))
            settle()
            after = all_of(web, by, args, waiting=few, done=args.done, **sizes)
        compare("many done against none", after, among_few, done=args.done, **sizes)
        with filled(many, completed=needed):
            among_many = all_of(web, by, args, waiting=many, **sizes)
        compare("many waiting against few", among_many, among_few, waiting=[many, few], **sizes)


def all_of(web: Web, by: dict[str, list], args: argparse.Namespace, **sizes: int) -> dict[str, float]:
    """The figures of one setting, in each of which less is better."""
    found = {}
    for way, people in by.items():
        cost, seconds = saturate(web, people, args.tasks, way, **sizes)
        found |= {f"CPU of a task, by {way}": cost, f"seconds a task without think time, by {way}": seconds}
    return found | think(web, by["api"], args.thought, args.think, **sizes)


def compare(name: str, those: dict[str, float], these: dict[str, float], **sizes: object) -> None:
    for what, value in those.items():
        figure(f"{what}: {name}", value / these[what], "1", **sizes)


@dataclass
class Times:
    """Seconds of single requests."""

    fetch: list[float] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)


def work(port: int, people: list[dict], tasks: int, way: str, think_seconds: float = 0.0) -> tuple[Times, float]:
    """All work until `tasks` are answered; the times, and the seconds it took."""
    times, left, lock = Times(), [tasks], threading.Lock()
    failed: list[str] = []

    def one(number: int, headers: dict) -> None:
        labeler = Labeler(port, headers, random.Random(number))
        time.sleep(labeler.draw.random() * think_seconds)
        task = ahead = None
        while not failed:
            with lock:
                if left[0] <= 0:
                    return
                left[0] -= 1
            if task is None:
                started = time.perf_counter()
                status, task = labeler.post("/api/v1/tasks/next/")
                times.fetch.append(time.perf_counter() - started)
                if status != 200:
                    return failed.append(f"No task: {status} {task}")
            if way == "page" and ahead is None:
                ahead = labeler.post("/api/v1/tasks/ahead/")[1]
            time.sleep(think_seconds)
            body = labeler.body(task)
            query = "" if way == "separate" else f"?ahead=1&has={ahead['id']}" if ahead else "?ahead=1"
            started = time.perf_counter()
            status, answer = labeler.post(f"/api/v1/tasks/{task['id']}/submit/{query}", body, f"{task['id']}:1")
            times.submit.append(time.perf_counter() - started)
            if status not in (200, 201):
                return failed.append(f"No answer taken: {status} {answer}")
            task = answer.get("next")
            if ahead and task and task["id"] == ahead["id"]:
                task = {**ahead, **task}
            ahead = answer.get("ahead")

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(people)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise SystemExit(failed[0])
    assert len(times.submit) == tasks, f"{len(times.submit)} of {tasks} answered"
    return times, time.perf_counter() - started


def saturate(web: Web, people: list[dict], tasks: int, way: str, **sizes: int) -> tuple[float, float]:
    """CPU ms a task without think time, and seconds."""
    work(web.port, people, WARM, way)
    before = web.cpu()
    _, seconds = work(web.port, people, tasks, way)
    cost = (web.cpu() - before) / tasks * 1e3
    figure(f"CPU of a task, by {way}", cost, "ms", tasks=tasks, **sizes)
    figure(f"tasks a second without think time, by {way}", tasks / seconds, "1/s", tasks=tasks, **sizes)
    return cost, seconds / tasks


def think(web: Web, people: list[dict], tasks: int, seconds: float, **sizes: int) -> dict[str, float]:
    """ms within which 95 of 100 fetches and submits are answered; each is a request of its own."""
    work(web.port, people, LABELERS, "separate")
    times, _ = work(web.port, people, tasks, "separate", seconds)
    found = {f"p95 of {what}": percentile(getattr(times, what), 0.95) * 1e3 for what in ("fetch", "submit")}
    for what, value in found.items():
        figure(what, value, "ms", tasks=tasks, think_seconds=seconds, **sizes)
    return found


def measure_drafts(web: Web, people: list[dict], **sizes: int) -> None:
    """CPU ms of a draft, which the page saves where a labeler pauses; it is no part of the other figures."""
    labelers = [Labeler(web.port, headers, random.Random(number)) for number, headers in enumerate(people)]
    held = [(labeler, labeler.post("/api/v1/tasks/next/")[1]) for labeler in labelers]
    before = web.cpu()
    for version in range(1, DRAFTS // LABELERS + 1):
        for labeler, task in held:
            draft = {"values": {shown["id"]: {"rating": 4} for shown in task["completions"]}}
            body = {"version": task["draft_version"] + version, "draft": draft}
            status, answer = labeler.post(f"/api/v1/tasks/{task['id']}/draft/", body)
            assert status == 200 and answer["saved"], answer
    figure("CPU of a draft", (web.cpu() - before) / DRAFTS * 1e3, "ms", drafts=DRAFTS, **sizes)


if __name__ == "__main__":
    main()
