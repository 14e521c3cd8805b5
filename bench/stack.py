"""What the benchmarks of the workbench stand on: embedded servers of their own, gunicorn, batches of tasks."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
K = 6
OVERLAP = 2
TICKS = os.sysconf("SC_CLK_TCK")

# One source user and one prompt a task, its seats in its order. Completions, of made-up words, only where a grant will
# come: a million tasks with theirs would be gigabytes that nobody reads.
FILL = """
    INSERT INTO labeling_prompt
        (id, source_id, source_user_id, external_id, messages, text_sha256, use_case, consent, state)
    SELECT md5('p' || n)::uuid, {source}, {writer}, '',
        '[{{"role": "user", "content": "What does the answer have to say about it?"}}]', {batch} || '-' || n, '', '',
        'accepted'
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
    SELECT gen_random_uuid(), item.id, c || ' ' || (
        SELECT string_agg(substr(md5((random() * 500)::int::text), 1, 3 + n % 6), ' ')
        FROM generate_series(1, {words} + 0 * c) n
    ), item.id || '-' || c
    FROM generate_series(1, {k}) c, (
        SELECT id FROM labeling_batchitem WHERE batch_id = {batch} ORDER BY id LIMIT {completed}
    ) item;
"""
FILLED = itertools.count()


@contextmanager
def stack(*, redis: bool = True) -> Iterator[Path]:
    """Embedded PostgreSQL, with durable commits as in production, and Redis in a folder that goes away, migrated."""
    with tempfile.TemporaryDirectory(prefix="kwise-bench-") as folder:
        home = Path(folder)
        os.environ.update(KWISE_HOME=folder, DATABASE_URL="", REDIS_URL="", LOG_LEVEL="ERROR")
        os.environ.update(DJANGO_SETTINGS_MODULE="config.settings", SECRET_KEY="of no worth outside this benchmark")
        from config import embedded

        embedded.ensure(home, redis=redis)
        try:
            import django
            from django.core.management import call_command

            django.setup()
            call_command("migrate", verbosity=0)
            yield home
        finally:
            from django.db import connections

            connections.close_all()
            connections["default"].close_pool()
            embedded.release(home)


@contextmanager
def filled(
    tasks: int, completed: int | None = None, *, k: int = K, overlap: int = OVERLAP, words: int = 100
) -> Iterator[int]:
    """The id of an open batch of so many ranking tasks, the first `completed` with completions of so many words; closed
    afterwards."""
    from labeling.intake.models import Source, SourceUser
    from labeling.sampling.models import Batch

    start = 1 + 10**7 * next(FILLED)
    source, _ = Source.objects.get_or_create(name="bench")
    writer, _ = SourceUser.objects.get_or_create(source=source, external_id="u", defaults={"split": "train"})
    batch = Batch.objects.create(name=f"from {start}", state="open", groups=["training"], overlap=overlap).pk
    numbers = {"start": start, "end": start + tasks - 1, "source": source.pk, "writer": writer.pk, "batch": batch}
    execute(FILL.format(k=k, overlap=overlap, completed=completed or tasks, words=words, **numbers))
    settle()
    yield batch
    execute("UPDATE labeling_lease SET state = 'skipped', seat_id = NULL WHERE state IN ('open', 'ahead')")
    execute(f"UPDATE labeling_batch SET state = 'closed' WHERE id = {batch}")


def settle() -> None:
    """Finish what PostgreSQL would do in the background after a large fill: no cost of the tasks that follow."""
    execute("VACUUM ANALYZE")
    with superuser() as connection:
        connection.execute("CHECKPOINT")


def superuser():
    """A connection that may do what the application's role may not. A context manager."""
    import psycopg
    from django.db import connection

    address = connection.get_connection_params()
    return psycopg.connect(
        host=address["host"], port=address["port"], dbname=address["dbname"], user="postgres", autocommit=True
    )


def execute(sql: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)


class Web:
    """gunicorn on a free port, and the CPU that it and PostgreSQL have used."""

    def __init__(self, *, workers: int = 4, **env: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = os.environ | {"PORT": str(self.port), "WEB_WORKERS": str(workers)} | env

    def __enter__(self) -> Web:
        command = [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.py", "config.wsgi"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stderr=subprocess.DEVNULL)
        for _ in range(600):
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
    backend = backend_pid()
    return next(parent for pid, parent, _ in processes() if pid == backend)


def backend_pid() -> int:
    """The PostgreSQL process behind this thread's connection."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def session_cookie(person) -> str:
    """The session id of somebody who has signed in."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(person)
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def figure(benchmark: str, name: str, value: float, unit: str, **sizes: object) -> None:
    line = {"benchmark": benchmark, "figure": name, "value": round(value, 3), "unit": unit, **sizes}
    print(json.dumps(line, ensure_ascii=False), flush=True)
