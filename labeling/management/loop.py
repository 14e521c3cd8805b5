"""The whole loop, in one process and its subprocesses: what a team does over weeks, on packaged content in minutes.

    import → sample → rank → export → SFT → reward model → PPO-ptx → publish → evaluate → sample again

Every step is the one that the pages and the API take; only that nobody waits in a queue: jobs run here, one by one.
The labelers are programs with a fixed rule (labeling/simulation/utility.py), so the figures say whether the machinery
works. They do not say that the new model is better.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling import jobs
from labeling.background import services as background
from labeling.background.models import Job
from labeling.campaigns import queries as campaigns
from labeling.campaigns.services import start_campaign
from labeling.exports.models import Dataset
from labeling.exports.services import create_dataset
from labeling.intake.models import Prompt, SourceUser
from labeling.intake.reading import read_rows
from labeling.leasing.services import open_tasks
from labeling.management import content
from labeling.pipeline import files, processes
from labeling.pipeline.models import Checkpoint, Run
from labeling.pipeline.services import publish_checkpoint, start_run
from labeling.rankings.imports import import_rankings
from labeling.rankings.models import Ranking
from labeling.refusals import Refusal
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Batch, Completion, CompletionMark, Endpoint
from labeling.sampling.services import create_batch, fill_batch
from labeling.simulation.services import own_web, simulate
from models_service.client import ModelClient
from training.formats import write_atomic

LABELERS = 8
# Simulated labelers that rank each task. A second ranking of the same texts costs the reward model as much as the first
# and teaches it less; of the evaluation it costs nothing and narrows the interval.
OVERLAP, OVERLAP_EVALUATION = 1, 2
K = 4
TOKENS = 48  # longest completion
EVALUATED = 16  # prompts of the campaign, from splits that no model was trained on
AGAIN = 6  # prompts of the next round
FEW_BLOCKS = 8
# People write longer than the demo model: at the preset's 160 and 96 tokens four of five of their rankings are lost.
HUMAN_LIMITS = {"max_prompt_tokens": 256, "max_answer_tokens": 256}
SERVER_START = 180  # seconds
# Where no salt is set, the packaged prompts fall into splits of 44, 8 and 8, the same for everyone who runs the loop.
SALT = "loop-49"


class LoopFailed(Exception):
    """A sentence for the reader: which step failed, why, and where to look."""


@dataclass
class Loop:
    """The things of one loop, by the names of its time."""

    say: Callable[[str], None]
    data: Path | None = None
    model: Path | None = None
    stamp: str = field(default_factory=lambda: datetime.now().strftime("%m%d-%H%M%S"))
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def name(self, what: str) -> str:
        return f"{what}-{self.stamp}"

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        self.say(f"{what} …")
        started = time.monotonic()
        try:
            yield
        except Refusal as refusal:
            raise LoopFailed(f"{what}: {refusal.message}") from None
        self.seconds[what] = round(time.monotonic() - started, 1)
        self.say(f"{what}: {self.seconds[what]:.0f} s")


def run_loop(*, say: Callable[[str], None], data: Path | None = None, model: Path | None = None) -> dict:
    """Go round once; the figures of the table. Raises LoopFailed. Stops all that it started, whatever happens."""
    loop = Loop(say=say, data=data, model=model)
    started = time.monotonic()
    if not os.environ.get("PROJECT_SALT"):
        settings.PROJECT_SALT = SALT
    with loop.step("base model"):
        folder, name = base_model(model)
    with contextlib.ExitStack() as stack:
        with loop.step("model server"):
            server = stack.enter_context(model_server(folder, name))
            settings.MODEL_SERVER_URL = server
            base, endpoint = content.bring_base(folder=folder, name=name, server=server)
        web = stack.enter_context(own_web())
        go_round(loop, base=base, endpoint=endpoint, web=web)
    loop.figures |= {
        "seconds": round(time.monotonic() - started),
        "seconds_by_step": loop.seconds,
        "home": str(settings.KWISE_HOME),
    }
    report = Path(settings.KWISE_HOME) / f"{loop.name('loop')}.json"
    loop.figures["report"] = str(report)
    write_atomic(report, json.dumps(loop.figures, indent=2).encode())
    return loop.figures


def go_round(loop: Loop, *, base: Checkpoint, endpoint: Endpoint, web: str) -> None:
    figures = loop.figures
    with loop.step("import"):
        imported = content.bring_prompts()
        content.bring_demonstrations()
        figures["prompts"] = Prompt.objects.filter(state=Prompt.State.ACCEPTED).count()
        figures["source_users"] = SourceUser.objects.count()
        figures["prompts_new"] = imported.accepted

    if loop.data:
        with loop.step("rankings from the file"):
            batch_name = loop.name("data")
            found = import_rankings(rows=read_rows(loop.data), name=batch_name, source=loop.data.name, group="training")
            if not found.rankings:
                batch_name = earlier_batch(loop.data)
            batch = Batch.objects.get(name=batch_name)
            figures["judges"] = f"people, from {loop.data.name}"
    else:
        with loop.step("sample"):
            batch = sample(loop, loop.name("round-1"), endpoint, Selection(sources=(content.SOURCE,)))
        with loop.step("rank"):
            work = simulate(url=web, labelers=LABELERS, tasks=10**6)
            figures["judges"] = "simulated labelers"
            figures["rankings_per_second"] = work.as_json()["per_second"]
    figures["completions"] = Completion.objects.filter(item__batch=batch).count()
    figures["completions_naming_a_model"] = Completion.objects.filter(
        item__batch=batch, pk__in=CompletionMark.objects.values("completion")
    ).count()
    figures["rankings"] = Ranking.objects.filter(task__batch=batch, replaced_by=None).count()

    with loop.step("export"):
        asked = {"batches": [batch.name], "include_simulated": not loop.data}
        comparisons = export("comparisons", asked)
        demonstrations = export("demonstrations", {"batches": [content.DEMONSTRATIONS]})
        prompts = export("prompts", {})
        for dataset in (comparisons, demonstrations, prompts):
            figures[f"{dataset.kind}_rows"] = rows_of(dataset)
            figures[f"{dataset.kind}_hash"] = dataset.content_hash
        figures["pairs"] = {
            split: entry["rows"]
            for entry in comparisons.manifest["files"]
            if (split := pairs_split(entry["path"])) is not None
        }

    sft = train(loop, "SFT", algorithm="sft", dataset=demonstrations, base=base)
    limits = HUMAN_LIMITS if loop.data else {}
    rm = train(loop, "reward model", limits, algorithm="rm", dataset=comparisons, base=sft, auxiliary=demonstrations)
    ppo = train(loop, "PPO-ptx", algorithm="ppo", dataset=prompts, base=sft, reward=rm, auxiliary=demonstrations)
    for key, checkpoint in (("sft", sft), ("rm", rm), ("ppo", ppo)):
        figures[key] = checkpoint.metrics
        figures[f"{key}_folder"] = checkpoint.run.folder
    figures["model"] = ppo.folder

    with loop.step("publish"):
        run_here(loop, publish_checkpoint(checkpoint=ppo))
        ppo.refresh_from_db()
    with loop.step("evaluate"):
        campaign = evaluate(loop, baseline=endpoint, candidate=ppo.endpoint, web=web)
        figures["campaign"] = campaigns.result(campaign)
        figures["baseline"], figures["candidate"] = endpoint.name, ppo.endpoint.name
    with loop.step("sample again"):
        again = sample(loop, loop.name("round-2"), ppo.endpoint, Selection(sources=(content.SOURCE,), count=AGAIN))
        figures["next_round"] = {
            "batch": again.name,
            "completions": Completion.objects.filter(item__batch=again).count(),
            "model": ppo.endpoint.name,
        }


# The steps


def base_model(model: Path | None) -> tuple[Path, str]:
    """The folder of the model to begin with and its name; the demo's is unpacked where it is missing."""
    if model is not None:
        folder = model.expanduser().resolve()
        if not (folder / "config.json").is_file():
            raise LoopFailed(
                f"{folder} is no model folder: it has no config.json. Name one in the Hugging Face layout."
            )
        return folder, re.sub(r"[^A-Za-z0-9._-]+", "-", folder.name).strip("-.") or "model"
    folder = Path(settings.BASE_MODEL)
    done = subprocess.run(
        [sys.executable, "-m", "models_service", "base", "--out", str(folder)],
        cwd=settings.ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise LoopFailed(f"The demo's model could not be unpacked: {done.stderr.strip()[-500:]}")
    return folder, settings.MODEL_SERVER_NAME


@contextmanager
def model_server(folder: Path, name: str) -> Iterator[str]:
    """The address of an embedded model server on a free port of this machine, which ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = Path(settings.KWISE_HOME)
    command = [sys.executable, "-m", "models_service", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--model", f"{name}={folder}", "--registry", str(home / "loop-serving.json")]
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    guarded = [sys.executable, "-I", str(processes.GUARD), str(os.getpid()), *command]
    with (logs / "model-server.log").open("wb") as log:
        process = subprocess.Popen(
            guarded,
            cwd=settings.ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + SERVER_START
        with ModelClient(url, timeout=10, tries=1) as client:
            while not client.ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise LoopFailed(f"The model server did not start; see {logs / 'model-server.log'}.")
                time.sleep(0.5)
        yield url
    finally:
        processes.end(process, patience=15)


def sample(loop: Loop, name: str, endpoint: Endpoint, prompts: Selection) -> Batch:
    """A batch with K completions for each prompt, open to simulated labelers."""
    batch = create_batch(
        name=name,
        endpoints=[endpoint],
        prompts=prompts,
        k=K,
        overlap=OVERLAP,
        groups=["simulated"],
        again=True,
        max_tokens=TOKENS,
        seed=1,
        # Nobody is there to look, and programs that rank know nothing of makers. The table says how many there were.
        hold_named=False,
    )
    fill_batch(batch=batch, beat=lambda **_: None, stored=lambda: open_tasks(batch=batch))
    open_tasks(batch=batch)
    return batch


def earlier_batch(data: Path) -> str:
    """The batch that an earlier loop brought the same rankings into."""
    batch = Batch.objects.filter(imported=True, items__prompt__source__name=data.name, kind="ranking").first()
    if batch is None:
        raise LoopFailed(f"No line of {data} could be read as a ranking; `manage.py import_rankings` says why.")
    return batch.name


def export(kind: str, question: dict) -> Dataset:
    """A complete data set; the one that is there where nothing has changed."""
    return create_dataset(kind=kind, question=question)


def pairs_split(path: str) -> str | None:
    return path[len("pairs-") : -len(".jsonl")] if path.startswith("pairs-") else None


def rows_of(dataset: Dataset) -> dict[str, int]:
    return {
        entry["path"].removesuffix(".jsonl"): entry["rows"]
        for entry in dataset.manifest["files"]
        if pairs_split(entry["path"]) is None
    }


def train(loop: Loop, what: str, arguments: dict | None = None, **parts: Any) -> Checkpoint:
    """The checkpoint of a run with the demo's preset, and `arguments` over it."""
    # The preset trains the demo model's last four blocks of thirty; a model may have fewer in all.
    blocks = files.read_object(Path(parts["base"].folder) / "config.json").get("num_hidden_layers") or FEW_BLOCKS
    arguments = dict(arguments or {})
    if blocks < FEW_BLOCKS:
        arguments["unfrozen_layers"] = max(1, blocks // 2)
    with loop.step(what):
        run = start_run(name=loop.name(parts["algorithm"]), preset="demo", arguments=arguments, seed=1, **parts)
        with told_of_progress(loop, what, run):
            run_here(loop, run.job)
    return Checkpoint.objects.select_related("run").get(run=run)


def run_here(loop: Loop, job: Job) -> Job:
    """Run the job in this process; LoopFailed where it did not end well."""
    try:
        # Queued again after an attempt that is worth another: a trainer that was killed resumes. The row's attempts are
        # counted, so this ends. Nothing is run while it is not due, or when a worker of this Kwise was quicker.
        while (ended := background.get_job(str(job.pk))).state in Job.OPEN:
            if jobs.run_now(str(job.pk)) is None:
                time.sleep(1)
    except BaseException:
        # Ctrl-C: nobody shall take it up again behind the reader's back.
        background.fail(background.get_job(str(job.pk)), error="The loop was interrupted.", again=False)
        raise
    if ended.state != Job.State.DONE:
        raise LoopFailed(f"The job {ended.kind} {ended.state}: {ended.error}")
    return ended


@contextmanager
def told_of_progress(loop: Loop, what: str, run: Run, *, every: float = 15.0) -> Iterator[None]:
    """Say now and then how far a run is."""
    stop = threading.Event()

    def tell() -> None:
        said = {}
        while not stop.wait(every):
            progress = files.read_object(Path(run.folder) / "progress.json")
            if progress.get("total") and progress != said:
                loop.say(f"  {what}: {progress.get('phase')}, step {progress.get('step')} of {progress['total']}")
                said = progress

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def evaluate(loop: Loop, *, baseline: Endpoint, candidate: Endpoint, web: str):
    """A campaign of the new model against the one it came from, judged to its end by simulated labelers."""
    held_back = Selection(sources=(content.SOURCE,), splits=("valid", "test"), count=EVALUATED)
    asked = {
        "name": loop.name("base-or-ppo"),
        "baseline": baseline,
        "candidate": candidate,
        "each": 2,
        "overlap": OVERLAP_EVALUATION,
        "groups": ["simulated"],
        "max_tokens": TOKENS,
        "priority": 1,
        "seed": 2,
        "hold_named": False,
    }
    try:
        campaign = start_campaign(prompts=held_back, **asked)
        loop.figures["evaluated_on"] = "prompts of the splits valid and test"
    except Refusal:  # every packaged prompt fell into the training split
        campaign = start_campaign(prompts=Selection(sources=(content.SOURCE,), count=EVALUATED), **asked)
        loop.figures["evaluated_on"] = "prompts of all splits"
    job = Job.objects.get(key=f"sample:{campaign.batch_id}", state__in=Job.OPEN)
    run_here(loop, job)
    simulate(url=web, labelers=LABELERS, tasks=10**6)
    return campaign


# The table


def table(figures: dict) -> str:
    """What came of it, for a terminal."""
    sft, rm, ppo = figures["sft"], figures["rm"], figures["ppo"]
    rate, accuracy_ci95 = figures["campaign"]["win_rate"], interval(rm.get("valid_accuracy_ci95"))
    simulated = figures["judges"] == "simulated labelers"
    rows = [
        ("prompts", f"{figures['prompts']} of {figures['source_users']} source users"),
        ("completions ranked", f"{figures['completions']}"),
        ("rankings", f"{figures['rankings']} by {figures['judges']}"),
        ("comparisons exported", f"{counted(figures['comparisons_rows'])} rankings, {counted(figures['pairs'])} pairs"),
        ("demonstrations", counted(figures["demonstrations_rows"])),
        ("prompts for PPO", counted(figures["prompts_rows"])),
        ("", ""),
        ("SFT validation loss", f"{number(sft.get('valid_loss_before'))} → {number(sft.get('valid_loss'))} nats/token"),
        (
            "RM validation accuracy",
            f"{share(rm.get('valid_accuracy'))} of {rm.get('valid_pairs')} pairs{accuracy_ci95}",
        ),
        ("PPO reward, before → after", f"{number(ppo.get('reward_before'))} → {number(ppo.get('reward_after'))}"),
        ("PPO KL, before → after", f"{number(ppo.get('kl_before'))} → {number(ppo.get('kl_after'))} nats/answer"),
        (
            "new model's win rate",
            f"{share(rate['rate'])} over {figures['baseline']}{interval(rate['ci95'])}; {rate['pairs']} comparisons, "
            f"{rate['prompts']} {figures['evaluated_on']}",
        ),
        ("next round", f"{figures['next_round']['completions']} completions of {figures['next_round']['model']}"),
        ("", ""),
        ("new model", figures["model"]),
        ("runs", f"{figures['sft_folder']}, …/{Path(figures['rm_folder']).name}, …/{Path(figures['ppo_folder']).name}"),
        ("figures as JSON", figures["report"]),
        ("time", f"{figures['seconds'] // 60} min {figures['seconds'] % 60} s"),
    ]
    if simulated:  # completions from a file were not looked at
        named = f"{figures['completions_naming_a_model']}, served without a look"
        rows.insert(2, ("of these naming a model", named))
    lines = [f"{label:<28}{value}".rstrip() for label, value in rows]
    lines += ["", *(CAUTION if simulated else CAUTION_DATA)]
    return "\n".join(lines)


CAUTION = (
    "Simulated labelers judged: programs with one fixed rule about length, endings, repetition and the question's",
    "words, plus noise (labeling/simulation/utility.py). It shows that the loop works, not that a model is good.",
    "What they ranked is marked simulated everywhere and was exported only because this loop asked for it.",
)
CAUTION_DATA = (
    "People's rankings from the file trained the reward model. The win rate alone is by simulated labelers: programs",
    "with one fixed rule about length, endings, repetition and the question's words, plus noise",
    "(labeling/simulation/utility.py). It does not measure what those people wanted.",
)


def counted(rows: dict[str, int]) -> str:
    total = sum(rows.values())
    return f"{total} ({', '.join(f'{split} {count}' for split, count in rows.items())})" if rows else "0"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def interval(bounds: list | tuple | None) -> str:
    return "" if not bounds or bounds[0] is None else f" (95 % interval {share(bounds[0])} to {share(bounds[1])})"
