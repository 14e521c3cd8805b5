"""How fast a data set of comparisons is written, what memory it takes, and whether it is the same bytes again.

Rankings of K = 6 by three labelers a task, who come to it within some two hundred tasks of each other, of completions
of 60 words that the detector of personal data has seen, in a database of their own. Each export is a process of its
own: the interpreter's start, rows, files, lineage and the copy are in the figure. `--rankings` says of how many; with
several the last is compared with the first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from bench.stack import ROOT, settle, stack, superuser

OVERLAP, K, WORDS = 3, 6, 60
LABELERS = 40
TASKS_AT_ONCE = 20_000

BEFORE = """
    INSERT INTO labeling_source (name) VALUES ('bench') ON CONFLICT DO NOTHING;
    INSERT INTO labeling_batch (name, kind, state, overlap, priority, groups, again, temperature, top_p, max_tokens,
            seed, imported, evaluation)
        VALUES ('bench', 'ranking', 'open', 3, 0, '{training}', false, 1, 1, 256, 0, false, false);
"""
# Tasks {start} to {end}, all with all their answers. Ids follow from numbers, so that nothing has to be looked up.
FILL = """
    INSERT INTO labeling_sourceuser (source_id, external_id, split, prompt_count)
    SELECT (SELECT id FROM labeling_source WHERE name = 'bench'), n::text, 'train', 0
    FROM generate_series({start} / 100, {end} / 100) n ON CONFLICT DO NOTHING;
    INSERT INTO labeling_prompt
        (id, source_id, source_user_id, external_id, messages, text_sha256, use_case, consent, state)
    SELECT md5('p' || n)::uuid, source_id, writer.id, '', jsonb_build_array(jsonb_build_object('role', 'user',
            'content', 'What does answer ' || n || ' have to say about the plain words that it is made of?')),
        md5('p' || n), (ARRAY['chat', 'open_qa', 'rewrite'])[1 + n % 3], '', 'accepted'
    FROM generate_series({start}, {end}) n JOIN labeling_sourceuser writer ON writer.external_id = (n / 100)::text;
    INSERT INTO labeling_batchitem (id, batch_id, prompt_id, external_id, k, state, error, note)
    OVERRIDING SYSTEM VALUE
    SELECT n, {batch}, md5('p' || n)::uuid, '', {k}, 'filled', '', '' FROM generate_series({start}, {end}) n;
    INSERT INTO labeling_task (id, item_id, batch_id, kind)
    SELECT md5('t' || n)::uuid, n, {batch}, 'ranking' FROM generate_series({start}, {end}) n;
    INSERT INTO labeling_completion (id, item_id, text, text_sha256)
    SELECT md5('c' || n || '-' || c)::uuid, n, said, encode(sha256(said::bytea), 'hex')
    FROM generate_series({start}, {end}) n, generate_series(1, {k}) c, LATERAL (
        SELECT n || ' ' || c || ' ' || string_agg((ARRAY['plain', 'words', 'of', 'a', 'made', 'up', 'answer', 'that',
            'nobody', 'reads', 'é']) [1 + (n * 7 + c * 5 + w * w) % 11], ' ') said FROM generate_series(1, {words}) w
    ) made;
    INSERT INTO labeling_provenance (completion_id, model, parameters, finish_reason)
    SELECT md5('c' || n || '-' || c)::uuid, 'model-' || c, '{{}}', 'stop'
    FROM generate_series({start}, {end}) n, generate_series(1, {k}) c;
    INSERT INTO labeling_outputscan (detector_id, text_sha256, spans)
    SELECT {detector}, decode(text_sha256, 'hex'), '[]' FROM labeling_completion
    WHERE item_id BETWEEN {start} AND {end} ON CONFLICT DO NOTHING;
    INSERT INTO labeling_lease (id, task_id, labeler_id, state, order_shown, order_ranked, expires_at, skip_reason,
            draft, draft_version, active_seconds)
    SELECT md5('r' || n || '-' || o)::uuid, md5('t' || n)::uuid,
        ({labelers}::int[])[1 + (n + 13 * o) % {labeler_count}], 'submitted', '[]', '[]', now(), '', '{{}}', 0, 60
    FROM generate_series({start}, {end}) n, generate_series(1, {overlap}) o;
    INSERT INTO labeling_ranking (id, lease_id, task_id, labeler_id, "group", origin, revision, idempotency_key,
            payload_sha256, correction_reason, surplus, outcome, order_shown, order_ranked, same, by_ratings,
            prompt_fields, note, active_seconds, created_at)
    SELECT lease.id, lease.id, task_id, labeler_id, 'training', 'workbench', 1, 'k', '', '', false, 'ranked',
        (SELECT jsonb_agg(md5('c' || n || '-' || (1 + (c + n) % {k}))::uuid) FROM generate_series(1, {k}) c),
        '[]', '[]', false, '{{}}', '', 60, timestamptz '2026-01-01'
            + (n * 30 + (o * 7919 + n * 31) % 6000) * interval '1 second'
    FROM generate_series({start}, {end}) n, generate_series(1, {overlap}) o
    JOIN labeling_lease lease ON true WHERE lease.id = md5('r' || n || '-' || o)::uuid;
    INSERT INTO labeling_judgment (ranking_id, completion_id, rank, rating, flags, values)
    SELECT md5('r' || n || '-' || o)::uuid, md5('c' || n || '-' || c)::uuid, 1 + (n + o * 5 + c * c) % 5,
        1 + (n + o + c) % 7, CASE WHEN (n + c) % 20 = 0 THEN '["fails_instruction"]'::jsonb ELSE '[]' END, '{{}}'
    FROM generate_series({start}, {end}) n, generate_series(1, {overlap}) o, generate_series(1, {k}) c;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rankings", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--profile", action="store_true", help="print a profile of each export instead")
    given = parser.parse_args()
    with stack(redis=False) as home:
        filled, peaks, rates = 0, [], []
        for rankings in sorted(given.rankings):
            tasks = -(-rankings // OVERLAP)
            fill(filled, tasks)
            filled = tasks
            first, second = export(home, "first", given.profile), export(home, "second", given.profile)
            many = {"rankings": first["rows"], "k": K}
            peaks.append(max(first["rss"], second["rss"]))
            rates.append(first["rows"] / first["seconds"])
            say("rows written", round(rates[-1]), "rows/s", seconds=round(first["seconds"], 1), **many)
            say("the same once more", round(second["rows"] / second["seconds"]), "rows/s", **many)
            say("peak RSS of the export", round(peaks[-1]), "MB", **many)
            say("byte-identical twice", int(first["files"] == second["files"]), "1", **many)
            say("size", round(first["bytes"] / 1e6, 1), "MB", **many)
        if len(rates) > 1:
            say("rows/s of the largest to the smallest", round(rates[-1] / rates[0], 2), "ratio")
            say("peak RSS of the largest to the smallest", round(peaks[-1] / peaks[0], 2), "ratio")


def say(figure: str, value: float, unit: str, **more: object) -> None:
    print(json.dumps({"benchmark": "export", "figure": figure, "value": value, "unit": unit, **more}), flush=True)


def fill(start: int, end: int) -> None:
    """Tasks `start` to `end` - 1 with their answers."""
    from labeling.governance import personal_data
    from labeling.governance.models import DetectorVersion
    from labeling.people.models import User
    from labeling.sampling.models import Batch

    running = personal_data.detector()
    detector, _made = DetectorVersion.objects.get_or_create(
        name=running.name, version=running.version, configuration=running.configuration
    )
    with superuser() as connection:
        if start == 0:
            connection.execute(BEFORE)
            User.objects.bulk_create(
                User(username=f"bench-{number}", role="labeler", group="training") for number in range(LABELERS)
            )
        labelers = list(User.objects.filter(username__startswith="bench-").values_list("pk", flat=True))
        # Keys are right by how they are made; looking for each would double the time.
        connection.execute("SET session_replication_role = replica")
        for first in range(start, end, TASKS_AT_ONCE):
            connection.execute(
                FILL.format(
                    start=first,
                    end=min(first + TASKS_AT_ONCE, end) - 1,
                    batch=Batch.objects.get(name="bench").pk,
                    detector=detector.pk,
                    labelers="'{" + ",".join(map(str, labelers)) + "}'",
                    labeler_count=LABELERS,
                    overlap=OVERLAP,
                    k=K,
                    words=WORDS,
                )
            )
    settle()


CHILD = """
import resource, sys, time
started = time.perf_counter()
import django
django.setup()
from django.core.management import call_command
import json
if {profile}:
    import cProfile, pstats
    profiler = cProfile.Profile()
    profiler.enable()
call_command("export", "comparisons", "--out", sys.argv[1])
seconds = time.perf_counter() - started
if {profile}:
    profiler.disable()
    pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({{"rss": used.ru_maxrss * 1024 / 1e6, "cpu": used.ru_utime + used.ru_stime}}))
"""


def export(home: Path, name: str, profile: bool) -> dict:
    """One export from nothing: what an earlier one left is taken away first."""
    with superuser() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("TRUNCATE labeling_datasetrow, labeling_dataset CASCADE")
        connection.execute("CHECKPOINT")
    remove(home / "datasets")
    out = home / "out" / name
    # Not `sys.executable manage.py`: the peak is asked of the process itself.
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", CHILD.format(profile=profile), str(out)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    seconds = time.perf_counter() - started
    manifest = json.loads((out / "manifest.json").read_text())
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.iterdir())
        if path.name != "manifest.json"
    }
    found = json.loads(ended.stdout.splitlines()[-1])
    size = sum(path.stat().st_size for path in out.iterdir())
    remove(out)
    return found | {"seconds": seconds, "rows": manifest["counts"]["rows"], "files": files, "bytes": size}


def remove(folder: Path) -> None:
    if folder.exists():
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
