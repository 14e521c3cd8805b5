"""20,000 answers among leases that run out, lost acknowledgements, killed web workers and killed labelers.

Labelers are processes of their own. Each writes into its ledger what it sends before it sends it, and that it was
acknowledged after; one that was killed begins again and sends what its ledger has unacknowledged, as a browser does.
In the end every answer in the ledgers must be in the database once and as it was sent, and nothing else; at no moment
may a task have more seats taken than its overlap.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from bench import stack
from bench.labelers import Labeler, by_token
from bench.stack import OVERLAP, ROOT, K, Web, filled

LABELERS = 40
PROCESSES = 8
BATCHES = 20
LEASE = {"LEASE_SECONDS": "2", "LEASE_GRACE_SECONDS": "1", "AHEAD_SECONDS": "1"}
TOO_LATE = (4, 12)  # seconds after which a lease has run out
KILL_WORKER_EVERY = 3  # seconds
KILL_LABELERS_EVERY = 4  # seconds
# Seats that are held or filled; a lease that left its seat names none.
OVERFULL = """
    SELECT count(*) FROM (
        SELECT lease.task_id FROM labeling_lease lease JOIN labeling_task task ON task.id = lease.task_id
        WHERE task.batch_id = ANY(%s) AND lease.seat_id IS NOT NULL AND lease.state IN ('open', 'ahead', 'submitted')
        GROUP BY lease.task_id HAVING count(*) > %s
    ) task
"""
figure = partial(stack.figure, "soak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=20_000, help="to be acknowledged (%(default)s)")
    parser.add_argument("--labelers", nargs=3, help=argparse.SUPPRESS)  # PORT FOLDER NUMBERS: be these labelers
    args = parser.parse_args()
    if args.labelers:
        port, folder, numbers = args.labelers
        return be_labelers(int(port), Path(folder), [int(number) for number in numbers.split(",")])
    with stack.stack() as home, ExitStack() as batches:
        # A freed seat goes to the end of its batch. In one of many it is soon given on, while its labeler still works.
        tasks = args.answers // OVERLAP // BATCHES + LABELERS
        soak(home, [batches.enter_context(filled(tasks)) for _ in range(BATCHES)], args.answers)


# The labelers


class Ledger:
    """What one labeler sent and what was acknowledged; a line each, in the kernel's hands before the next step."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **entry: object) -> None:
        os.write(self.file, (json.dumps(entry) + "\n").encode())

    def read(self) -> list[dict]:
        entries = []
        for line in self.path.read_bytes().split(b"\n"):
            # A labeler who is killed while writing leaves half a line, of something that was not sent.
            with suppress(ValueError):
                entries.append(json.loads(line))
        return entries


def sent_and_done(entries: list[dict]) -> tuple[dict[str, dict], dict[str, dict]]:
    """What was sent and what was answered last, by the lease."""
    sent = {entry["lease"]: entry for entry in entries if "status" not in entry}
    return sent, {entry["lease"]: entry for entry in entries if "status" in entry}


def be_labelers(port: int, folder: Path, numbers: list[int]) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    tokens = json.loads((folder / "tokens.json").read_text())
    threads = [threading.Thread(target=be_one, args=(port, folder, n, tokens[n], stop), daemon=True) for n in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def be_one(port: int, folder: Path, number: int, token: str, stop: threading.Event) -> None:
    ledger = Ledger(folder / f"{number}.jsonl")
    labeler = Labeler(port, by_token(token), random.Random(time.time_ns() + number))
    os.write(ledger.file, b"\n")  # ends half a line
    sent, done = sent_and_done(ledger.read())
    for lease in sent.keys() - done.keys():
        deliver(labeler, ledger, sent[lease], "resumed")
    task = None
    while not stop.is_set():
        if task is None:
            status, task = labeler.post("/api/v1/tasks/next/")
            if status != 200:
                task = None
                stop.wait(0.2)
                continue
        if labeler.draw.random() < 0.3:
            labeler.post("/api/v1/tasks/ahead/")
        if labeler.draw.random() < 0.01:
            time.sleep(labeler.draw.uniform(*TOO_LATE))
        entry = {"lease": task["id"], "key": str(uuid.uuid4()), "body": labeler.body(task)}
        ledger.write(**entry)
        how = labeler.draw.random()
        if how < 0.03:  # the acknowledgement is lost
            try:
                labeler.send(path_of(entry), entry["body"], entry["key"])
                time.sleep(labeler.draw.random() * 0.02)
            except OSError:
                pass
            labeler.drop()
        answer = deliver(labeler, ledger, entry, "lost" if how < 0.03 else "once")
        if 0.03 <= how < 0.08:  # and sent again although it is there
            again = deliver(labeler, ledger, entry, "repeated")
            if (answer or {}).get("id") != (again or {}).get("id"):
                ledger.write(lease=entry["lease"], status=0, how="a repeat got another answer")
        task = (answer or {}).get("next")
    labeler.drop()


def path_of(entry: dict) -> str:
    return f"/api/v1/tasks/{entry['lease']}/submit/?ahead=1"


def deliver(labeler: Labeler, ledger: Ledger, entry: dict, how: str) -> dict | None:
    before = labeler.retries
    status, answer = labeler.post(path_of(entry), entry["body"], entry["key"])
    stored = answer["id"] if status in (200, 201) else None
    retries = labeler.retries - before
    ledger.write(lease=entry["lease"], status=status, answer=stored, how=how, retries=retries)
    return answer if stored else None


# Around them


def soak(home: Path, batches: list[int], answers: int) -> None:
    from labeling.people.models import User
    from labeling.people.services import create_token
    from labeling.rankings.models import Ranking

    folder = home / "ledgers"
    folder.mkdir()
    people = [User.objects.create_user(f"bench-{n}") for n in range(LABELERS)]
    (folder / "tokens.json").write_text(json.dumps([create_token(user=one, name="soak")[1] for one in people]))
    stop, watched = threading.Event(), Counter()
    around = [
        threading.Thread(target=sweep, args=(stop, watched), daemon=True),
        threading.Thread(target=watch, args=(stop, watched, batches), daemon=True),
    ]
    for thread in around:
        thread.start()
    draw, kills = random.Random(0), Counter()
    started = time.perf_counter()
    with Web(**LEASE) as web:
        groups = [",".join(map(str, range(first, LABELERS, PROCESSES))) for first in range(PROCESSES)]
        running = {group: begin(web, folder, group) for group in groups}
        next_worker, next_labelers = KILL_WORKER_EVERY, KILL_LABELERS_EVERY
        while Ranking.objects.filter(task__batch__in=batches).count() < answers:
            time.sleep(0.5)
            now = time.perf_counter() - started
            if now > next_worker and (workers := web.workers()):
                os.kill(draw.choice(workers), signal.SIGKILL)
                kills["web workers"] += 1
                next_worker = now + KILL_WORKER_EVERY
            if now > next_labelers:
                group = draw.choice(groups)
                running[group].kill()
                running[group].wait()
                running[group] = begin(web, folder, group)
                kills["labelers"] += len(group.split(","))
                next_labelers = now + KILL_LABELERS_EVERY
            for group, process in running.items():
                if process.poll() is not None:
                    raise SystemExit(f"Labelers {group} ended by themselves, with exit status {process.returncode}.")
        seconds = time.perf_counter() - started
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(60)
    stop.set()
    for thread in around:
        thread.join()
    check(folder, batches, seconds, kills, watched)


def begin(web: Web, folder: Path, group: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "bench.bench_soak", "--labelers", str(web.port), str(folder), group]
    return subprocess.Popen(command, cwd=ROOT)


def sweep(stop: threading.Event, watched: Counter) -> None:
    """Leases that ran out are closed, as the scheduler has it done."""
    from django.conf import settings
    from django.db import connection

    from labeling.leasing.services import expire_leases

    settings.LEASE_GRACE_SECONDS = int(LEASE["LEASE_GRACE_SECONDS"])
    while not stop.wait(1):
        watched["expired by the sweep"] += expire_leases()
    connection.close()


def watch(stop: threading.Event, watched: Counter, batches: list[int]) -> None:
    from django.db import connection

    while not stop.wait(1):
        with connection.cursor() as cursor:
            cursor.execute(OVERFULL, [batches, OVERLAP])
            watched["tasks over their overlap"] += cursor.fetchone()[0]
        watched["looks"] += 1
    connection.close()


def check(folder: Path, batches: list[int], seconds: float, kills: Counter, watched: Counter) -> None:
    """Every row against the ledgers."""
    from labeling.leasing.models import Seat
    from labeling.rankings.models import Ranking

    entries = [entry for path in folder.glob("*.jsonl") for entry in Ledger(path).read()]
    sent, done = sent_and_done(entries)
    seen = Counter(entry.get("how") for entry in entries)
    retries = sum(entry.get("retries", 0) for entry in entries)
    refused = sum(entry.get("status", 200) not in (200, 201) for entry in entries)
    rankings = Ranking.objects.filter(task__batch__in=batches).prefetch_related("judgments")
    stored = Counter(str(lease) for lease in rankings.values_list("lease", flat=True))
    altered = surplus = 0
    for ranking in rankings.iterator(chunk_size=2_000):
        judgments = {str(one.completion_id): (one.rank, one.rating) for one in ranking.judgments.all()}
        surplus += ranking.surplus
        entry = sent.get(str(ranking.lease_id))
        wanted = {one["id"]: (one["rank"], one["rating"]) for one in entry["body"]["completions"]} if entry else None
        known = done.get(str(ranking.lease_id), {}).get("answer") or str(ranking.pk)
        altered += judgments != wanted or ranking.idempotency_key != entry["key"] or known != str(ranking.pk)
    acknowledged = {lease for lease, entry in done.items() if entry.get("answer")}
    filled_seats = Seat.objects.filter(batch__in=batches, state="filled").count()
    per_task = Counter(rankings.filter(surplus=False).values_list("task", flat=True))
    wrong = {
        "answers lost": len(acknowledged - stored.keys()),
        "answers stored twice": sum(stored.values()) - len(stored),
        "answers altered or by nobody": altered,
        "repeats that got another answer": seen["a repeat got another answer"],
        "tasks with more answers than their overlap": sum(count > OVERLAP for count in per_task.values()),
        "tasks over their overlap at some moment": watched["tasks over their overlap"],
        "seats filled without an answer, or the other way round": abs(filled_seats - (len(stored) - surplus)),
    }
    sizes = {
        "answers": len(stored),
        "acknowledged": len(acknowledged),
        "surplus": surplus,
        "seats_freed": Seat.objects.filter(batch__in=batches, freed__isnull=False).count(),
        "killed_workers": kills["web workers"],
        "killed_labelers": kills["labelers"],
        "lost_acknowledgements": seen["lost"],
        "repeated": seen["repeated"],
        "sent_again_after_a_kill": seen["resumed"],
        "retries": retries,
        "refused": refused,
        "labelers": LABELERS,
        "k": K,
    }
    for name, value in wrong.items():
        figure(name, value, "1", **sizes)
    figure("answers a second among all that", len(stored) / seconds, "1/s", **sizes)
    if any(wrong.values()):
        raise SystemExit(f"The soak found something: {wrong}")


if __name__ == "__main__":
    main()
