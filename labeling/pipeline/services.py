"""Register models, start and carry out runs, publish what they left."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, close_old_connections, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.exports import taint
from labeling.exports.models import Dataset
from labeling.pipeline import files, processes, queries
from labeling.pipeline.models import Checkpoint, Run
from labeling.refusals import Conflict, Refusal, TryLater
from labeling.sampling.models import Endpoint
from labeling.text import check_json
from training import formats

log = structlog.get_logger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
ARGUMENT = re.compile(r"[a-z][a-z0-9_]{0,60}")
# Decided by the run itself; as free arguments they would contradict what the row says.
OWN = {"data", "model", "out", "reward", "ptx", "demonstrations", "preset", "seed", "resume"}
SERVER_KEY = "MODEL_API_KEY"  # environment variable with the model server's key, where it wants one
POLL = 0.5  # seconds between two looks at a trainer


def check_name(name: str) -> str:
    """`name` when it can stand in a folder, a URL and a server's list of models; Refusal otherwise."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refusal(
            _("The name {name!r} will not do: up to 100 letters, digits, dots, dashes and underscores.").format(
                name=str(name)[:120]
            )
        )
    return name


def hash_weights(folder: Path) -> str:
    """SHA-256 over names and bytes of config.json and the safetensors files, as trainers write it to run.json."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise Refusal(
            _("{folder} is no model folder: it needs config.json and at least one .safetensors file.").format(
                folder=folder
            )
        )
    digest = hashlib.sha256()
    for path in [folder / "config.json", *weights]:
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def register_base(*, folder: Path, name: str, created_by=None) -> Checkpoint:
    """A policy brought from outside, in the registry. The same folder and name again: the one that is there."""
    check_name(name)
    folder = Path(folder).resolve()
    weights = hash_weights(folder)
    known = Checkpoint.objects.filter(name=name).first()
    if known is None and queries.name_is_taken(name):
        raise Conflict(_("A run is called {name!r} already; choose another name.").format(name=name))
    if known is None:
        with transaction.atomic(durable=True):
            known, created = Checkpoint.objects.get_or_create(
                name=name,
                defaults={"kind": Checkpoint.Kind.POLICY, "folder": str(folder), "weights_sha256": weights},
            )
            if created:
                record(actor=created_by, action="model.registered", subject=known, folder=str(folder), sha256=weights)
    if (known.weights_sha256, known.run_id) != (weights, None):
        raise Conflict(
            _("Another model is called {name!r} already, and a name is one model's for ever; choose another.").format(
                name=name
            )
        )
    return known


def start_run(
    *,
    algorithm: str,
    dataset: Dataset,
    base: Checkpoint,
    reward: Checkpoint | None = None,
    auxiliary: Dataset | None = None,
    preset: str = "demo",
    arguments: dict[str, Any] | None = None,
    seed: int = 0,
    name: str = "",
    created_by=None,
) -> Run:
    """A queued run. Refusal with a sentence where its parts do not fit together; nothing is read from disk here."""
    if algorithm not in queries.DATASET_FOR:
        raise Refusal(
            _("There is no algorithm {algorithm!r}; choose sft, rm or ppo.").format(algorithm=str(algorithm)[:40])
        )
    check_inputs(algorithm=algorithm, dataset=dataset, base=base, reward=reward, auxiliary=auxiliary)
    if preset not in queries.presets():
        raise Refusal(
            _("There is no preset {preset!r}; choose one of {queries}.").format(
                preset=str(preset)[:60], queries=", ".join(queries.presets())
            )
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise Refusal(_("The seed must be a whole number from 0 to 4294967295."))
    arguments = check_arguments({} if arguments is None else arguments)
    name = check_name(name or queries.suggest_name(algorithm))
    folder = Path(settings.RUNS_FOLDER).resolve() / name
    if queries.name_is_taken(name) or folder.exists():
        raise Conflict(_("There is a run or a model called {name!r} already; choose another name.").format(name=name))
    try:
        with transaction.atomic(durable=True):
            run = Run.objects.create(
                name=name,
                algorithm=algorithm,
                dataset=dataset,
                base=base,
                reward=reward,
                auxiliary=auxiliary,
                preset=preset,
                arguments=arguments,
                seed=seed,
                folder=str(folder),
                created_by=created_by,
            )
            run.job = background.enqueue(
                kind="train",
                arguments={"run": str(run.pk)},
                queue=Job.Queue.GPU,
                key=f"train:{run.pk}",
                created_by=created_by,
            )
            run.save(update_fields=["job"])
            record(actor=created_by, action="run.started", subject=run, dataset=dataset.content_hash, base=base.name)
    except IntegrityError:
        raise Conflict(_("There is a run called {name!r} already; choose another name.").format(name=name)) from None
    return run


def check_inputs(
    *, algorithm: str, dataset: Dataset, base: Checkpoint, reward: Checkpoint | None, auxiliary: Dataset | None
) -> None:
    """Refusal where data sets or checkpoints are not what the algorithm learns from."""
    label = Run.Algorithm(algorithm).label
    wanted = queries.DATASET_FOR[algorithm]
    if dataset.kind != wanted:
        raise Refusal(
            _("{label} learns from {wanted}; {dataset} is a data set of {kind}. Choose another.").format(
                label=label, wanted=wanted, dataset=dataset, kind=dataset.kind
            )
        )
    for one in (dataset, auxiliary):
        if one is None:
            continue
        if not one.content_hash:
            raise Refusal(
                _("The data set {dataset} is not complete yet; wait until its export has ended.").format(dataset=one)
            )
        refuse_tainted(one)
        if queries.has_held_out(one):
            raise Refusal(
                _(
                    "The data set {dataset} has answers of held-out labelers, who never train a model. Choose another."
                ).format(dataset=one)
            )
    if base.kind != Checkpoint.Kind.POLICY:
        raise Refusal(_("{base} is a reward model; a run starts from a policy.").format(base=base))
    if algorithm == Run.Algorithm.PPO and reward is None:
        raise Refusal(_("PPO needs a reward model: train one from comparisons first, then choose it here."))
    if algorithm != Run.Algorithm.PPO and reward is not None:
        raise Refusal(_("{label} takes no reward model; only PPO does.").format(label=label))
    if reward is not None and reward.kind != Checkpoint.Kind.REWARD:
        raise Refusal(
            _("{reward} is a policy, not a reward model; choose one that an RM run left.").format(reward=reward)
        )
    if auxiliary is not None and algorithm == Run.Algorithm.SFT:
        raise Refusal(_("SFT takes no second data set."))
    if auxiliary is not None and auxiliary.kind != Dataset.Kind.DEMONSTRATIONS:
        raise Refusal(
            _("The second data set must hold demonstrations; {auxiliary} holds {kind}.").format(
                auxiliary=auxiliary, kind=auxiliary.kind
            )
        )


def refuse_tainted(dataset: Dataset) -> None:
    """Raises DatasetTainted for a data set with something in it that was erased since."""
    if not taint.is_tainted(dataset):
        return
    rebuilt = taint.rebuilt_of(dataset)
    raise DatasetTainted(
        _("Something in the data set {dataset} was erased since; train on {rebuilt}, made without it.").format(
            dataset=dataset, rebuilt=rebuilt
        )
        if rebuilt
        else _("Something in the data set {dataset} was erased since; rebuild it first, on its page.").format(
            dataset=dataset
        ),
        dataset=str(dataset.pk),
        rebuilt=str(rebuilt.pk) if rebuilt else None,
    )


class DatasetTainted(Conflict):
    """Nothing learns from what was erased."""

    code = "dataset_tainted"


def check_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Further arguments of the trainer by name; Refusal for one that could not be a flag. The trainer judges values."""
    if not isinstance(arguments, dict):
        raise Refusal(_("The arguments must be an object: names of the trainer's arguments with their values."))
    check_json(arguments, where="arguments")
    for key, value in arguments.items():
        if not ARGUMENT.fullmatch(key):
            raise Refusal(_("{key!r} is no argument of a trainer; names look like learning_rate.").format(key=key[:80]))
        if key in OWN:
            raise Refusal(_("The argument {key} is set by the run itself; leave it out.").format(key=key))
        if not isinstance(value, bool | int | float | str):
            raise Refusal(_("The argument {key} must be a number, a text, or true or false.").format(key=key))
    return arguments


def command_of(run: Run) -> list[str]:
    """The command line that carries the run out, or goes on with it."""
    command = [*settings.TRAINING_COMMAND, run.algorithm, f"--data={run.dataset.folder}", f"--model={run.base.folder}"]
    command += [f"--out={run.folder}", f"--preset={run.preset}", f"--seed={run.seed}"]
    if run.reward:
        command.append(f"--reward={run.reward.folder}")
    if run.auxiliary:
        command.append(f"--{'ptx' if run.algorithm == Run.Algorithm.PPO else 'demonstrations'}={run.auxiliary.folder}")
    for key, value in sorted(run.arguments.items()):
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            command.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            command.append(f"--{flag}={value}")
    if (Path(run.folder) / "run.json").exists():
        command.append("--resume")
    return command


def execute_run(*, job: Job) -> dict:
    """Carry the job's run out in a subprocess; the job's result. Can be called again after any interruption."""
    run = queries.get_run(job.arguments["run"])
    done = Checkpoint.objects.filter(run=run).first()
    if done is not None:
        return {"run": str(run.pk), "checkpoint": str(done.pk)}
    for dataset in (run.dataset, run.auxiliary):
        # Also one that was queued before the erasure, or broke off.
        if dataset is not None:
            refuse_tainted(dataset)
        if dataset is not None and (problems := formats.verify(Path(dataset.folder))):
            raise Refusal(
                _("The data set in {folder} is damaged: {problems}. Restore it from a backup.").format(
                    folder=dataset.folder, problems=problems[0]
                )
            )
    folder = Path(run.folder)
    folder.mkdir(parents=True, exist_ok=True)
    with processes.lock_folder(folder, alive=lambda: background.beat(job, note="ending an earlier trainer")) as lock:
        with processes.trainer(command_of(run), folder=folder, lock=lock) as process:
            follow(process, job=job, folder=folder)
        judge_exit(process.returncode, folder=folder)
        checkpoint = register_result(run=run)
    return {"run": str(run.pk), "checkpoint": str(checkpoint.pk)}


def follow(process: subprocess.Popen, *, job: Job, folder: Path) -> None:
    """Pass the trainer's progress on until it ends. JobCancelled and JobLost pass through, uncaught."""
    heard = time.monotonic()
    while True:
        try:
            process.wait(POLL)
            return
        except subprocess.TimeoutExpired:
            pass
        progress = files.read_object(folder / "progress.json")
        try:
            step, total = progress.get("step", 0), progress.get("total", 0)
            background.beat(job, done=max(0, int(step)), total=max(0, int(total)), note=str(progress.get("phase", "")))
            heard = time.monotonic()
        except (OperationalError, InterfaceError):
            # A database that restarts is no reason to lose hours of training; after this long the job is another's.
            if time.monotonic() - heard > settings.JOB_STALE_AFTER:
                raise
            log.warning("database_does_not_answer", job=str(job.pk))
            close_old_connections()


def judge_exit(code: int, *, folder: Path) -> None:
    """Nothing when the trainer ended well; else Refusal (not worth another attempt), or an error that is."""
    if code == 0:
        return
    if code in (formats.STOPPED_EXIT, 130):
        raise TryLater(_("The trainer was stopped from outside after saving; it goes on from its last checkpoint."))
    if code < 0:
        raise RuntimeError(
            f"the trainer was killed by signal {-code}{' (often: out of memory)' if code == -9 else ''}; "
            "it goes on from its last checkpoint"
        )
    error = files.read_object(folder / "run.json").get("error")
    last = [line for line in files.log_tail(folder / processes.LOG).splitlines() if line.strip()][-1:]
    sentence = error if code == 1 and isinstance(error, str) and error else "".join(last).removeprefix("error: ")
    raise Refusal((sentence or f"The trainer ended with exit status {code} and said nothing; see its log.")[:2000])


def register_result(*, run: Run) -> Checkpoint:
    """The run's model in the registry, with its report and the code that made it."""
    folder = Path(run.folder)
    described, report = files.read_object(folder / "run.json"), files.read_object(folder / "report.json")
    parents = described.get("parents", {})
    for role, parent in (("model", run.base), ("base", run.base), ("reward", run.reward)):
        used = parents.get(role, {}).get("sha256") if isinstance(parents.get(role), dict) else None
        if parent is not None and used not in (None, parent.weights_sha256):
            raise Refusal(
                _(
                    "The weights in {folder} are not those that were registered as {parent}; what was trained "
                    "from them cannot name its parent. Register the folder under a new name and train from that."
                ).format(folder=parent.folder, parent=parent.name)
            )
    read = described.get("dataset", {})
    if isinstance(read, dict) and read.get("content_hash") not in (None, run.dataset.content_hash):
        raise Refusal(
            _("The trainer read another data set than {dataset}; its result is not registered.").format(
                dataset=run.dataset
            )
        )
    weights = hash_weights(folder / "model")
    with transaction.atomic(durable=True):
        checkpoint, created = Checkpoint.objects.get_or_create(
            run=run,
            defaults={
                "name": run.name,
                "kind": Checkpoint.Kind.REWARD if run.algorithm == Run.Algorithm.RM else Checkpoint.Kind.POLICY,
                "folder": str(folder / "model"),
                "weights_sha256": weights,
                "metrics": report,
            },
        )
        if created:
            run.report, run.code_version = report, version_text(described.get("code_version", ""))
            run.save(update_fields=["report", "code_version"])
            record(actor=run.created_by, action="model.trained", subject=checkpoint, run=str(run.pk), sha256=weights)
    return checkpoint


def version_text(version: object) -> str:
    """A run's code version as one short line, e.g. "kwise 0.1.0, torch 2.13.0, training 3f2a…"."""
    if isinstance(version, dict):
        text = ", ".join(f"{name} {value}" for name, value in sorted(version.items()))
    else:
        text = version if isinstance(version, str) else json.dumps(version)
    return text[:80]


def publish_checkpoint(*, checkpoint: Checkpoint, by=None) -> Job:
    """A queued job that loads the checkpoint on the model server and makes an endpoint of it. Twice asked: one job."""
    if checkpoint.kind != Checkpoint.Kind.POLICY:
        raise Refusal(
            _(
                "{checkpoint} is a reward model: it scores, and nothing can be sampled from it. Publish a policy."
            ).format(checkpoint=checkpoint)
        )
    with transaction.atomic(durable=True):
        job = background.enqueue(
            kind="publish",
            arguments={"checkpoint": str(checkpoint.pk)},
            key=f"publish:{checkpoint.pk}",
            created_by=by,
        )
        record(actor=by, action="model.publishing", subject=checkpoint)
    return job


def execute_publish(*, job: Job) -> dict:
    """Load the checkpoint on the model server, then name it as an endpoint; the job's result."""
    from models_service import publishing
    from models_service.client import ModelRefused, ModelUnavailable

    checkpoint = queries.get_checkpoint(job.arguments["checkpoint"])
    background.beat(job, note=f"loading {checkpoint.name} on {settings.MODEL_SERVER_URL}")
    try:
        served = publishing.publish(
            settings.MODEL_SERVER_URL, checkpoint.name, checkpoint.folder, api_key=os.environ.get(SERVER_KEY)
        )
    except ModelUnavailable as error:
        raise TryLater(
            _("The model server at {model_server_url} does not answer: {error}").format(
                model_server_url=settings.MODEL_SERVER_URL, error=error
            )
        ) from None
    except ModelRefused as error:
        raise Refusal(
            _("The model server did not take {checkpoint}: {error}").format(checkpoint=checkpoint.name, error=error)
        ) from None
    endpoint = name_endpoint(checkpoint=checkpoint, served_as=served)
    return {"endpoint": endpoint.pk, "name": endpoint.name}


def name_endpoint(*, checkpoint: Checkpoint, served_as: str) -> Endpoint:
    """The active endpoint of a checkpoint that the model server serves now.

    A server with one model (vLLM) now answers with it under its one name, so endpoints that stood for what it served
    before are switched off: they would sample the new model and call it the old one.
    """
    with transaction.atomic(durable=True):
        others = Endpoint.objects.filter(base_url=settings.MODEL_SERVER_URL, model=served_as)
        others.exclude(name=checkpoint.name).update(active=False)
        endpoint, _ = Endpoint.objects.update_or_create(
            name=checkpoint.name,
            defaults={
                "base_url": settings.MODEL_SERVER_URL,
                "model": served_as,
                "api_key_variable": SERVER_KEY if os.environ.get(SERVER_KEY) else "",
                "active": True,
            },
        )
        Checkpoint.objects.filter(pk=checkpoint.pk).update(endpoint=endpoint, published_at=Now())
        record(
            actor=None, action="model.published", subject=checkpoint, endpoint=endpoint.name, server=endpoint.base_url
        )
    return endpoint


def cancel_run(*, run: Run, by=None) -> Run:
    """Ask the run to end after saving a checkpoint; Conflict when it has ended already."""
    with transaction.atomic(durable=True):
        background.cancel(job=_job_of(run))
        record(actor=by, action="run.cancelled", subject=run)
    return run


def restart_run(*, run: Run, by=None) -> Run:
    """Queue a run again that failed or was cancelled; it goes on from its last checkpoint."""
    with transaction.atomic(durable=True):
        background.retry(job=_job_of(run))
        record(actor=by, action="run.restarted", subject=run)
    return run


def _job_of(run: Run) -> Job:
    if run.job is None:
        raise Conflict(_("This run has no job: it was brought in from elsewhere."))
    return run.job
