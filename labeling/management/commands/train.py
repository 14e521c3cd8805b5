"""Start a training run."""

from __future__ import annotations

import json as json_module
import time
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling import jobs
from labeling.background.models import Job
from labeling.background.services import get_job
from labeling.pipeline import queries
from labeling.pipeline.models import Checkpoint, Run
from labeling.pipeline.services import register_base, start_run
from labeling.refusals import NotFound, Refusal
from labeling.text import parse_json


class Command(BaseCommand):
    help = "Queue a training run on a data set of this Kwise. The gpu-worker carries it out; --here does so at once."

    def add_arguments(self, parser) -> None:
        parser.add_argument("algorithm", choices=Run.Algorithm.values)
        parser.add_argument("--dataset", required=True, metavar="DIR", help="folder, id, name or content hash")
        parser.add_argument("--base", required=True, metavar="MODEL", help="model by name or id, or a model folder")
        parser.add_argument("--reward", metavar="MODEL", help="reward model by name or id (ppo)")
        parser.add_argument("--auxiliary", metavar="DIR", help="demonstrations (rm: mean reward 0; ppo: the ptx mix)")
        parser.add_argument("--preset", default="demo")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--name", default="")
        parser.add_argument("--arguments", default="{}", metavar="JSON", help="over the preset's numbers")
        parser.add_argument("--wait", action="store_true", help="until the run has ended")
        parser.add_argument("--here", action="store_true", help="carry it out in this process instead of a worker")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, algorithm: str, dataset: str, base: str, json: bool, **given) -> None:
        try:
            run = start_run(
                algorithm=algorithm,
                dataset=dataset_of(dataset),
                base=base_of(base),
                reward=queries.get_checkpoint(given["reward"]) if given["reward"] else None,
                auxiliary=dataset_of(given["auxiliary"]) if given["auxiliary"] else None,
                preset=given["preset"],
                arguments=parse_json(given["arguments"], where="--arguments"),
                seed=given["seed"],
                name=given["name"],
            )
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        if given["here"]:
            jobs.run_now(str(run.job_id))
        job = wait_for(run, self.stderr.write) if given["wait"] or given["here"] else run.job
        result = {"run": str(run.pk), "name": run.name, "state": job.state, "error": job.error, "folder": run.folder}
        if json:
            self.stdout.write(json_module.dumps(result))
        else:
            self.stdout.write(f"{run.name}: {job.state}, {run.folder}")
        if job.state in (Job.State.FAILED, Job.State.CANCELLED):
            raise CommandError(job.error or "The run was cancelled.")


def dataset_of(reference: str):
    try:
        return queries.get_dataset(reference)
    except NotFound:
        folder = Path(reference).resolve()
        if not (folder / "manifest.json").exists():
            raise
        from training.formats import read_manifest

        # A copy made with `export --out` has the hash of what this Kwise keeps.
        return queries.get_dataset(read_manifest(folder)["content_hash"])


def base_of(reference: str) -> Checkpoint:
    if "/" in reference or Path(reference).is_dir():
        folder = Path(reference).resolve()
        return register_base(folder=folder, name=folder.name)
    return queries.get_checkpoint(reference)


def wait_for(run: Run, say, *, every: float = 2.0) -> Job:
    """The run's job once it has ended; says its progress on the way."""
    said = ""
    while (job := get_job(str(run.job_id))).state in Job.OPEN:
        line = f"{job.state} {job.note} {job.done}/{job.total}" if job.total else f"{job.state} {job.note}"
        if line != said:
            say(line)
            said = line
        time.sleep(every)
    return job
