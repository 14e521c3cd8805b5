"""Runs carried out by the real `python -m training` on a tiny model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.conf import settings as live_settings
from django.db import connection
from django.utils import timezone

from labeling import jobs
from labeling.background import services as background
from labeling.background.models import Job
from labeling.pipeline import files, processes, queries, services
from labeling.pipeline.models import Checkpoint, Run
from tests.labeling.pipeline.conftest import QUICK

LONG = {"epochs": 400, "batch_size": 1, "unfrozen_layers": 1, "samples": 0}


def start(**parts) -> Run:
    algorithm = parts.pop("algorithm")
    return services.start_run(algorithm=algorithm, arguments=parts.pop("arguments", QUICK[algorithm]), **parts)


def wait_for(condition, *, seconds: float = 240):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def test_three_runs_make_a_policy(base, make_dataset):
    """SFT, reward model, PPO-ptx, each from what the one before left."""
    demonstrations = make_dataset("demonstrations")
    sft = start(algorithm="sft", dataset=demonstrations, base=base, seed=3)
    job = jobs.run_now(str(sft.job_id))
    assert (job.state, job.error) == ("done", "")
    policy = Checkpoint.objects.get(run=sft)
    assert (policy.name, policy.kind, policy.folder) == ("sft-1", "policy", str(Path(sft.folder) / "model"))
    assert policy.weights_sha256 == services.hash_weights(Path(policy.folder)) != base.weights_sha256
    assert policy.metrics["valid_loss"] > 0
    described = files.read_object(Path(sft.folder) / "run.json")
    assert described["seed"] == 3
    assert described["dataset"]["content_hash"] == demonstrations.content_hash
    assert queries.get_run(sft.pk).code_version.startswith("kwise ")

    rm = start(algorithm="rm", dataset=make_dataset("comparisons"), base=policy, auxiliary=demonstrations)
    assert jobs.run_now(str(rm.job_id)).error == ""
    reward = Checkpoint.objects.get(run=rm)
    assert (reward.kind, 0 <= reward.metrics["valid_accuracy"] <= 1) == ("reward", True)

    ppo = start(algorithm="ppo", dataset=make_dataset("prompts"), base=policy, reward=reward, auxiliary=demonstrations)
    job = jobs.run_now(str(ppo.job_id))
    assert (job.state, job.error) == ("done", "")
    assert (job.done, job.total) == (2, 2)
    watched = queries.watch(queries.get_run(ppo.pk))
    assert watched.ended
    assert {"reward", "kl"} <= set(watched.series)
    assert [one.checkpoint.name for one in queries.lineage(Checkpoint.objects.get(run=ppo))] == [
        "ppo-1",
        "sft-1",
        "rm-1",
        "tiny",
    ]


def test_running_a_finished_run_again_changes_nothing(base, make_dataset):
    run = start(algorithm="sft", dataset=make_dataset("demonstrations"), base=base)
    first = jobs.run_now(str(run.job_id))
    made = (Path(run.folder) / "model" / "model.safetensors").stat().st_mtime_ns
    # As a message that Redis delivers twice, or a worker that died between registering and finishing.
    assert jobs.run_now(str(run.job_id)) is None
    Job.objects.filter(pk=first.pk).update(state="queued")
    assert jobs.run_now(str(run.job_id)).state == "done"
    assert Checkpoint.objects.filter(run=run).count() == 1
    assert (Path(run.folder) / "model" / "model.safetensors").stat().st_mtime_ns == made


def test_trainers_sentence_reaches_the_page(base, make_dataset, page, rita):
    run = start(algorithm="sft", dataset=make_dataset("demonstrations"), base=base, arguments={"epochs": -1})
    job = jobs.run_now(str(run.job_id))
    assert (job.state, job.attempt) == ("failed", 1)
    assert "epochs" in job.error
    assert job.error in page(rita).get(f"/runs/{run.pk}/").content.decode().replace("&#x27;", "'")


def test_damaged_data_set_is_not_trained_on(base, make_dataset):
    dataset = make_dataset("demonstrations")
    [train] = Path(dataset.folder).glob("train*")
    train.chmod(0o644)
    train.write_bytes(train.read_bytes()[:-1] + b"?")
    run = start(algorithm="sft", dataset=dataset, base=base)
    job = jobs.run_now(str(run.job_id))
    assert job.state == "failed"
    assert f"damaged: {train.name} has changed" in job.error


def test_changed_parent_is_not_named_as_parent(base, make_dataset, tmp_path):
    other = Checkpoint.objects.create(name="other", kind="policy", folder=base.folder, weights_sha256="1" * 64)
    run = start(algorithm="sft", dataset=make_dataset("demonstrations"), base=other)
    job = jobs.run_now(str(run.job_id))
    assert job.state == "failed"
    assert "not those that were registered as other" in job.error
    assert not Checkpoint.objects.filter(run=run).exists()


@pytest.mark.django_db(transaction=True)
def test_cancelled_run_saves_and_goes_on_later(base, make_dataset, rita):
    run = start(algorithm="sft", dataset=make_dataset("demonstrations"), base=base, arguments=LONG)
    folder = Path(run.folder)

    def cancel_when_under_way():
        wait_for(lambda: files.read_object(folder / "progress.json").get("step", 0) >= 3)
        services.cancel_run(run=queries.get_run(run.pk), by=rita)
        connection.close()

    thread = threading.Thread(target=cancel_when_under_way)
    thread.start()
    job = jobs.run_now(str(run.job_id))
    thread.join()
    assert job.state == "cancelled"
    assert files.read_object(folder / "run.json")["state"] == "stopped"
    assert list((folder / "checkpoints").iterdir())
    assert processes.orphan_of(folder) is None
    steps = [row["step"] for row in files.json_lines(folder / "metrics.jsonl")]

    services.restart_run(run=queries.get_run(run.pk), by=rita)
    job = queries.get_run(run.pk).job
    assert (job.state, job.attempt) == ("queued", 0)
    held = background.claim(job.pk)
    with (
        processes.lock_folder(folder, alive=lambda: None) as lock,
        processes.trainer(services.command_of(run), folder=folder, lock=lock),
    ):
        wait_for(lambda: len(files.json_lines(folder / "metrics.jsonl")) > len(steps))
    assert held is not None
    again = [row["step"] for row in files.json_lines(folder / "metrics.jsonl")]
    assert again == sorted(set(again)), "a resumed run logs no step twice"


@pytest.mark.django_db(transaction=True)
def test_killed_worker_takes_its_trainer_along_and_the_sweep_finishes_the_run(base, make_dataset, settings, tmp_path):
    arguments = {"epochs": 60, "batch_size": 1, "unfrozen_layers": 1, "samples": 0}
    run = start(algorithm="sft", dataset=make_dataset("demonstrations"), base=base, arguments=arguments)
    folder = Path(run.folder)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(run.job_id)], cwd=live_settings.ROOT, env=environment_of_worker(settings)
    )
    try:
        wait_for(lambda: files.read_object(folder / "progress.json").get("step", 0) >= 3)
        trainer = processes.orphan_of(folder)
    finally:
        worker.kill()
        worker.wait()
    wait_for(lambda: not trainer.is_running() or trainer.status() == psutil.STATUS_ZOMBIE)
    assert files.read_object(folder / "run.json")["state"] == "stopped"

    assert background.sweep()["sent"] == 0, "the worker may only be slow"
    Job.objects.filter(pk=run.job_id).update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert background.sweep()["sent"] == 1
    job = jobs.run_now(str(run.job_id))
    assert (job.state, job.attempt, job.error) == ("done", 2, "")
    steps = [row["step"] for row in files.json_lines(folder / "metrics.jsonl")]
    assert steps == sorted(set(steps))
    assert Checkpoint.objects.get(run=run).weights_sha256


WORKER = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
django.setup()
from labeling import jobs
jobs.run_now(sys.argv[1])
"""


def environment_of_worker(settings) -> dict[str, str]:
    """What makes another process work on this test's database."""
    own = connection.settings_dict
    host = own["HOST"] or "127.0.0.1"
    secret = f":{own['PASSWORD']}" if own["PASSWORD"] else ""
    address = f"postgres://{own['USER']}{secret}@{host.replace('/', '%2F')}:{own['PORT'] or 5432}/{own['NAME']}"
    return os.environ | {
        "DATABASE_URL": address,
        "REDIS_URL": settings.BROKER_URL,
        "KWISE_HOME": str(settings.KWISE_HOME),
    }


def test_orphan_on_the_same_folder_is_ended_before_another_writes(tmp_path):
    """A trainer whose worker died where the kernel does not tell holds the lock; the next attempt ends it first."""
    ready = tmp_path / "ready"
    patient = f"""
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({str(tmp_path / "saved")!r}).touch(), sys.exit(143)))
pathlib.Path({str(ready)!r}).touch()
time.sleep(60)
"""
    lock = os.open(tmp_path / processes.LOCK, os.O_RDWR | os.O_CREAT)
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX)
    orphan = subprocess.Popen([sys.executable, "-c", patient], pass_fds=[lock], start_new_session=True)
    os.close(lock)
    (tmp_path / processes.PID).write_text(f"{orphan.pid} {psutil.Process(orphan.pid).create_time()}")
    wait_for(ready.exists)
    beats = []
    with processes.lock_folder(tmp_path, alive=lambda: beats.append(1), patience=20):
        assert (tmp_path / "saved").exists(), "it was let save"
    assert orphan.wait(5) == 143
    assert beats


def test_deaf_trainer_is_killed_with_its_children(tmp_path):
    deaf = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code])
print(child.pid, flush=True)
time.sleep(60)
"""
    with (
        processes.lock_folder(tmp_path, alive=lambda: None) as lock,
        processes.trainer([sys.executable, "-c", deaf], folder=tmp_path, lock=lock) as process,
    ):
        child = int(wait_for(lambda: (tmp_path / processes.LOG).read_text().strip()))
        processes.end(process, patience=0.3)
    assert process.returncode == -signal.SIGKILL
    wait_for(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_trainer_sees_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "never tell")
    command = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    with (
        processes.lock_folder(tmp_path, alive=lambda: None) as lock,
        processes.trainer(command, folder=tmp_path, lock=lock) as process,
    ):
        assert process.wait(20) == 0
    seen = json.loads((tmp_path / processes.LOG).read_text())
    assert not set(processes.SECRETS) & set(seen)
