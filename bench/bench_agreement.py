"""Agreement of 1,000,000 rankings: time and memory; and how fast its page opens over 100,000 by 40 labelers.

In a database of its own on the embedded PostgreSQL. K = 4 completions, 3 of 40 labelers a task; ranks follow a quality
with noise, so that about three quarters of pairs agree; ratings, and now and then a flag.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial

from bench import stack
from bench.stack import ROOT, execute, filled, settle

K, OVERLAP, LABELERS = 4, 3, 40
OPENED = 20  # times that the page is opened
ANSWER = """
    INSERT INTO labeling_lease (id, task_id, seat_id, labeler_id, state, order_shown, order_ranked, expires_at,
        ended_at, skip_reason, draft, draft_version, active_seconds)
    SELECT gen_random_uuid(), task_id, id, {first} + ((hashtext(task_id::text) & 1023) + 13 * number) % {labelers},
        'submitted', '[]', '[]', now(), now(), '', '{{}}', 0, 0
    FROM labeling_seat WHERE batch_id = {batch};
    INSERT INTO labeling_ranking (id, lease_id, task_id, labeler_id, "group", origin, revision, idempotency_key,
        payload_sha256, correction_reason, surplus, outcome, form_version_id, order_shown, order_ranked, same,
        by_ratings, prompt_fields, note, active_seconds, created_at)
    SELECT gen_random_uuid(), id, task_id, labeler_id, 'training', 'workbench', 1, 'k', '', '', false, 'ranked', {form},
        '[]', '[]', '[]', false, '{{}}', '', 60, now() - random() * interval '300 days'
    FROM labeling_lease WHERE task_id IN (SELECT id FROM labeling_task WHERE batch_id = {batch});
    INSERT INTO labeling_judgment (ranking_id, completion_id, rank, rating, flags, "values")
    SELECT *, '{{}}' FROM (
        SELECT ranking.id, completion.id,
            rank() OVER (PARTITION BY ranking.id ORDER BY quality + random() * 0.8 DESC),
            1 + floor(4 * quality + 3 * random())::int,
            CASE WHEN random() < 0.05 THEN '["hallucination"]'::jsonb ELSE '[]' END
        FROM labeling_ranking ranking
        JOIN labeling_task task ON task.id = ranking.task_id
        JOIN labeling_completion completion ON completion.item_id = task.item_id
        CROSS JOIN LATERAL (SELECT (hashtext(completion.id::text) & 1023) / 1024.0 AS quality) judged
        WHERE task.batch_id = {batch}
    ) answer;
"""
figure = partial(stack.figure, "agreement")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=100_000, help="rankings behind the page (%(default)s)")
    parser.add_argument("--many", type=int, default=1_000_000, help="rankings of the command (%(default)s)")
    args = parser.parse_args()
    with stack.stack(redis=False):
        measure(args.few, args.many)


def measure(few: int, many: int) -> None:
    from labeling.forms.models import FormVersion
    from labeling.people.models import User

    first = min(User.objects.create_user(f"labeler-{number}").pk for number in range(LABELERS))
    form = FormVersion.objects.get(form__name="instructgpt", number=1).pk
    for rankings, so_far in ((few, 0), (many, few)):
        with filled(-(-(rankings - so_far) // OVERLAP), k=K, overlap=OVERLAP, words=3) as batch:
            execute(ANSWER.format(batch=batch, first=first, labelers=LABELERS, form=form))
        settle()
        compute(rankings)
        if not so_far:
            open_page(rankings)


def compute(rankings: int) -> None:
    """Time and memory of the command, in a process of its own."""
    command = [sys.executable, "manage.py", "agreement", "--json"]
    with tempfile.TemporaryFile("w+") as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=out)
        _pid, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        out.seek(0)
        found = json.load(out)
    assert status == 0 and found["rankings"] >= rankings
    sizes = {"rankings": rankings, "labelers": LABELERS, "k": K, "overlap": OVERLAP}
    figure("all measures in all cuts, from the database", seconds, "s", **sizes)
    figure("CPU of it, less the database's", used.ru_utime + used.ru_stime, "s", **sizes)
    figure("memory of it at most", used.ru_maxrss / 1024, "MB", **sizes)


def open_page(rankings: int) -> None:
    """A worker makes the report; then a researcher opens it."""
    from django.test import Client

    from labeling.jobs import make_reports
    from labeling.people.models import User
    from labeling.reports.models import Report

    researcher = User.objects.create_user("rita", role="researcher", group="researcher")
    client = Client(HTTP_HOST="localhost")
    client.force_login(researcher)

    def load() -> tuple[float, str]:
        started = time.perf_counter()
        page = client.get("/agreement/").content.decode()
        return (time.perf_counter() - started) * 1e3, page

    client.get("/jobs/")  # the first request of a process imports every page
    waited, page = load()
    assert "Being computed" in page
    make_reports()
    times = []
    for _ in range(OPENED):
        milliseconds, page = load()
        assert 'class="plot-drawing"' in page
        times.append(milliseconds)
    sizes = {"rankings": rankings, "labelers": LABELERS}
    figure("a worker makes the report, two languages drawn", Report.objects.get().seconds, "s", **sizes)
    figure("page before there is a report", waited, "ms", **sizes)
    figure("page with all plots and tables: median", statistics.median(times), "ms", opened=OPENED, **sizes)
    figure("page with all plots and tables: slowest", max(times), "ms", opened=OPENED, **sizes)


if __name__ == "__main__":
    main()
