"""Forty simulated labelers, K = 6, over HTTP against gunicorn and PostgreSQL: what a task costs and how long one waits.

Figures, one JSON line each: CPU ms for each task that is served and submitted (web and database processes, from /proc)
and tasks/s without think time, by API (a submit carries the next task) and as the page works (the next one fetched
ahead as well); p95 of fetch and submit at THINK seconds of think time; the ratios of 1,000,000 tasks waiting against
1,000, and of labelers who have done 5,000 tasks; and a soak of ANSWERS answers among expiries, retries and killed
workers, of which none may be lost or stored twice.

`python -m bench.bench_workbench [--few N --many N --done N --tasks N --think SECONDS --answers N --cores 0,1]`
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.bench_grant import FILL

LABELERS = 40
K = 6
OVERLAP = 2
WORKERS = 4
ROOT = Path(__file__).resolve().parent.parent
WARM = 200  # tasks before each measurement
TICKS = os.sysconf("SC_CLK_TCK")
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--done", type=int, default=5_000)
    parser.add_argument("--tasks", type=int, default=2_000, help="in each measurement")
    parser.add_argument("--think", type=float, default=2.0, help="seconds between a task and its answer")
    parser.add_argument("--answers", type=int, default=20_000, help="of the soak; 0 leaves it out")
    parser.add_argument("--cores", default="0,1", help="for web and database; the labelers share them")
    args = parser.parse_args()
    os.sched_setaffinity(0, {int(core) for core in args.cores.split(",")} & os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="kwise-bench-") as home:
        os.environ.update(KWISE_HOME=home, DATABASE_URL="", REDIS_URL="", LOG_LEVEL="ERROR", WEB_WORKERS=str(WORKERS))
        os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", SECRET_KEY="of no worth outside this benchmark")
        from config import embedded

        embedded.ensure(Path(home))
        try:
            measure(args)
        finally:
            from django.db import connections

            connections.close_all()
            connections["default"].close_pool()
            embedded.release(Path(home))


def measure(args: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from labeling.people.models import User
    from labeling.people.services import create_token

    call_command("migrate", verbosity=0)
    people = [User.objects.create_user(f"bench-{n}") for n in range(LABELERS)]
    tokens = [create_token(user=person, name="bench")[1] for person in people]

    sizes = {"labelers": LABELERS, "k": K, "workers": WORKERS, "cores": len(os.sched_getaffinity(0))}
    # A batch for each measurement, so that each begins with as many waiting.
    needed = (args.tasks + WARM) // OVERLAP + 2 * LABELERS
    few, many = max(args.few, needed), max(args.many, 3 * needed)
    costs, seconds = {}, args.think
    with Web() as web:
        for way in ("api", "page"):
            with filled(few):
                costs[way] = saturate(web, tokens, args.tasks, way, waiting=few, **sizes)
        with filled(few):
            waits = think(web, tokens, args.tasks, seconds, waiting=few, **sizes)
        with filled(args.done + needed) as batch:
            execute(DO.format(batch=batch, done=args.done))
            execute("VACUUM ANALYZE")
            cost = saturate(web, tokens, args.tasks, "api", waiting=needed, done=args.done, **sizes)
        figure("CPU of a task, by api: many done against none", cost / costs["api"], "1", done=args.done, **sizes)
        with filled(many, completed=3 * needed):
            for way in ("api", "page"):
                cost = saturate(web, tokens, args.tasks, way, waiting=many, **sizes)
                figure(f"CPU of a task, by {way}: many waiting against few", cost / costs[way], "1", **sizes)
            later = think(web, tokens, args.tasks, seconds, waiting=many, **sizes)
        for what, value in waits.items():
            figure(f"p95 of {what}: many waiting against few", later[what] / value, "1", **sizes)
    if args.answers:
        with filled(args.answers // OVERLAP + 500) as batch:
            soak(batch, tokens, args.answers, **sizes)


# The servers


class Web:
    """gunicorn on a free port, and the CPU that it and PostgreSQL have used."""

    def __init__(self, **env: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.env = os.environ | {"PORT": str(self.port)} | env

    def __enter__(self) -> Web:
        command = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit("The web server did not start.")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def workers(self) -> list[int]:
        return [pid for pid, parent, _ in processes() if parent == self.process.pid]

    def cpu(self) -> float:
        """CPU seconds so far of the web's processes and of all PostgreSQL processes of this database."""
        postmaster = postmaster_pid()
        web = {self.process.pid}
        return sum(
            seconds
            for pid, parent, seconds in processes(dead_children_of=(self.process.pid, postmaster))
            if pid in web or parent in web or pid == postmaster or parent == postmaster
        )


def processes(dead_children_of: tuple[int, ...] = ()) -> list[tuple[int, int, float]]:
    """(pid, parent, CPU seconds) of each process; with those of its ended children for `dead_children_of`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        ticks = sum(map(int, fields[11 : 15 if pid in dead_children_of else 13]))
        found.append((pid, int(fields[1]), ticks / TICKS))
    return found


def postmaster_pid() -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    return next(parent for pid, parent, _ in processes() if pid == backend)


# The labelers


@dataclass
class Times:
    """Seconds of single requests."""

    fetch: list[float] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)


class Labeler:
    """One labeler's connection. Every request is sent again until it is answered, the same each time."""

    def __init__(self, port: int, token: str, draw: random.Random) -> None:
        self.port, self.token, self.draw = port, token, draw
        self.connection: http.client.HTTPConnection | None = None
        self.retries = 0

    def post(self, path: str, body: object = None, key: str = "") -> tuple[int, dict | None]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        for _ in range(200):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                    self.connection.connect()
                    self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connection.request("POST", path, json.dumps(body) if body else "", headers)
                answer = self.connection.getresponse()
                content = answer.read()
                if answer.status < 500:
                    return answer.status, json.loads(content) if content else None
            except (OSError, http.client.HTTPException):
                pass
            self.connection, self.retries = None, self.retries + 1
            time.sleep(0.05)
        raise SystemExit("The web server answers no more.")

    def body(self, task: dict) -> dict:
        ranks = [self.draw.randint(1, K) for _ in task["completions"]]
        judged = [
            {"id": shown["id"], "rank": rank, "rating": self.draw.randint(1, 7), "flags": []}
            for shown, rank in zip(task["completions"], ranks, strict=True)
        ]
        return {"revision": 1, "replaces": None, "completions": judged, "note": "", "active_seconds": 1}


def work(port: int, tokens: list[str], tasks: int, way: str, think_seconds: float = 0.0) -> tuple[Times, float]:
    """All work until `tasks` are answered; the times, and the seconds it took."""
    times, left, lock = Times(), [tasks], threading.Lock()

    def one(number: int, token: str) -> None:
        labeler = Labeler(port, token, random.Random(number))
        time.sleep(labeler.draw.random() * think_seconds)
        task = None
        while True:
            with lock:
                if left[0] <= 0:
                    return
                left[0] -= 1
            if task is None:
                started = time.perf_counter()
                status, task = labeler.post("/api/v1/tasks/next/")
                times.fetch.append(time.perf_counter() - started)
                if status != 200:
                    raise SystemExit(f"No task: {status} {task}")
            if way == "page":
                started = time.perf_counter()
                labeler.post("/api/v1/tasks/ahead/")
                times.fetch.append(time.perf_counter() - started)
            time.sleep(think_seconds)
            body = labeler.body(task)
            query = "" if way == "separate" else "?ahead=1"
            started = time.perf_counter()
            status, answer = labeler.post(f"/api/v1/tasks/{task['id']}/submit/{query}", body, f"{task['id']}:1")
            times.submit.append(time.perf_counter() - started)
            if status not in (200, 201):
                raise SystemExit(f"No answer taken: {status} {answer}")
            task = answer.get("next")

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(tokens)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times.submit) == tasks, f"{len(times.submit)} of {tasks} answered"
    return times, time.perf_counter() - started


def saturate(web: Web, tokens: list[str], tasks: int, way: str, **sizes: int) -> float:
    """CPU ms a task without think time."""
    work(web.port, tokens, WARM, way)
    before = web.cpu()
    _, seconds = work(web.port, tokens, tasks, way)
    cost = (web.cpu() - before) / tasks * 1e3
    figure(f"CPU of a task, by {way}", cost, "ms", tasks=tasks, **sizes)
    figure(f"tasks a second without think time, by {way}", tasks / seconds, "1/s", tasks=tasks, **sizes)
    return cost


def think(web: Web, tokens: list[str], tasks: int, seconds: float, **sizes: int) -> dict[str, float]:
    times, _ = work(web.port, tokens, tasks, "separate", seconds)
    found = {"fetch": p95(times.fetch), "submit": p95(times.submit)}
    for what, value in found.items():
        figure(f"p95 of {what}", value, "ms", tasks=tasks, think_seconds=seconds, **sizes)
    return found


def p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)] * 1e3


# The soak


def soak(batch: int, tokens: list[str], answers: int, **sizes: int) -> None:
    """Labelers answer, sometimes too late, sometimes twice, while workers are killed; then every row is counted."""
    from labeling.leasing.models import Seat
    from labeling.rankings.models import Judgment, Ranking

    stored_before = Ranking.objects.count()
    acknowledged: dict[str, str] = {}
    conflicts, kills = Counter(), 0
    lock, stop = threading.Lock(), threading.Event()
    times = {"LEASE_SECONDS": "2", "LEASE_GRACE_SECONDS": "1", "AHEAD_SECONDS": "1"}
    started = time.perf_counter()
    with Web(**times) as web:

        def one(number: int, token: str) -> None:
            labeler = Labeler(web.port, token, random.Random(number))
            while not stop.is_set():
                status, task = labeler.post("/api/v1/tasks/next/")
                if status != 200:
                    time.sleep(0.2)
                    continue
                while task is not None and not stop.is_set():
                    chance = labeler.draw.random()
                    if chance < 0.3:
                        labeler.post("/api/v1/tasks/ahead/")
                    if chance < 0.01:
                        time.sleep(4)  # too late: its place is given on
                    path, key = f"/api/v1/tasks/{task['id']}/submit/?ahead=1", str(uuid.uuid4())
                    body = labeler.body(task)
                    status, answer = labeler.post(path, body, key)
                    if labeler.draw.random() < 0.05:
                        again = labeler.post(path, body, key)[1]
                        assert again["id"] == answer["id"], "a retry was stored again"
                    with lock:
                        if status in (200, 201):
                            acknowledged[answer["id"]] = task["id"]
                        else:
                            conflicts[status] += 1
                        if len(acknowledged) >= answers:
                            stop.set()
                    task = answer.get("next")
            with lock:
                conflicts["retries"] += labeler.retries

        def sweep() -> None:
            from django.db import connection

            from labeling.leasing.services import expire_leases

            while not stop.wait(1):
                expire_leases()
            connection.close()

        threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in enumerate(tokens)]
        threads.append(threading.Thread(target=sweep, daemon=True))
        for thread in threads:
            thread.start()
        draw = random.Random(0)
        while not stop.wait(5):
            if workers := web.workers():
                os.kill(draw.choice(workers), signal.SIGKILL)
                kills += 1
        for thread in threads:
            thread.join()
    seconds = time.perf_counter() - started

    stored = {str(pk): str(lease) for pk, lease in Ranking.objects.filter(task__batch=batch).values_list("id", "lease")}
    lost = len(acknowledged.items() - stored.items())
    twice = sum(count - 1 for count in Counter(stored.values()).values())
    overfull = sum(
        count - 1
        for count in Counter(
            Ranking.objects.filter(task__batch=batch, surplus=False).values_list("lease__seat", flat=True)
        ).values()
    )
    judged = Judgment.objects.filter(ranking__task__batch=batch).count()
    surplus = Ranking.objects.filter(task__batch=batch, surplus=True).count()
    filled = Seat.objects.filter(batch=batch, state="filled").count()
    more = {"answers": len(acknowledged), "kills": kills, "retries": conflicts["retries"], "surplus": surplus, **sizes}
    figure("answers lost", lost, "1", **more)
    figure("answers stored twice", twice, "1", **more)
    figure("seats filled twice", overfull, "1", **more)
    figure("answers without all their judgments", abs(judged - K * len(stored)), "1", **more)
    figure("seats filled but for answers that are not surplus", abs(filled - (len(stored) - surplus)), "1", **more)
    figure("answers a second among kills and expiries", len(acknowledged) / seconds, "1/s", **more)
    assert stored_before == Ranking.objects.exclude(task__batch=batch).count()
    if lost or twice or overfull or judged != K * len(stored) or filled != len(stored) - surplus:
        raise SystemExit("The soak lost an answer, or stored one twice.")


# The tasks


FILLED = itertools.count()


@contextmanager
def filled(tasks: int, completed: int | None = None) -> Iterator[int]:
    """The id of an open batch of so many ranking tasks, the first `completed` with completions; closed afterwards."""
    from labeling.intake.models import Source, SourceUser
    from labeling.sampling.models import Batch

    start = 1 + 10**7 * next(FILLED)
    source, _ = Source.objects.get_or_create(name="bench")
    writer, _ = SourceUser.objects.get_or_create(source=source, external_id="u", defaults={"split": "train"})
    batch = Batch.objects.create(name=f"from {start}", state="open", groups=["training"], overlap=OVERLAP).pk
    numbers = {"start": start, "end": start + tasks - 1, "source": source.pk, "writer": writer.pk}
    execute(FILL.format(k=K, overlap=OVERLAP, completed=completed or tasks, batch=batch, **numbers))
    execute("VACUUM ANALYZE")
    yield batch
    execute("UPDATE labeling_lease SET state = 'skipped', seat_id = NULL WHERE state IN ('open', 'ahead')")
    execute(f"UPDATE labeling_batch SET state = 'closed' WHERE id = {batch}")


def execute(sql: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)


def figure(name: str, value: float, unit: str, **sizes: object) -> None:
    line = {"benchmark": "workbench", "figure": name, "value": round(value, 3), "unit": unit, **sizes}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
