"""Runs, checkpoints, and what each learned from."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from labeling.background.models import Job
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.taint import tainted_ids
from labeling.intake.models import Prompt
from labeling.paging import Page, keyset_page
from labeling.pipeline import files
from labeling.pipeline.models import Checkpoint, Run
from labeling.rankings.models import Ranking
from labeling.refusals import NotFound, Refusal

RECIPES = Path(settings.ROOT) / "training" / "recipes"
DATASET_FOR = {"sft": "demonstrations", "rm": "comparisons", "ppo": "prompts"}


def presets() -> list[str]:
    """Names of the recipes that a run can start from, the demo's first."""
    return sorted((path.stem for path in RECIPES.glob("*.toml")), key=lambda name: (name != "demo", name))


def runs_page(*, after: str | None = None) -> Page:
    """Runs, newest first."""
    runs = Run.objects.select_related("dataset", "base", "reward", "job", "checkpoint", "created_by")
    return keyset_page(runs, order=("-created_at", "-id"), after=after)


def checkpoints_page(*, after: str | None = None) -> Page:
    """The registry, newest first."""
    found = Checkpoint.objects.select_related("run__dataset", "run__base", "endpoint")
    return keyset_page(found, order=("-created_at", "-id"), after=after)


def get_run(reference: object) -> Run:
    """A run by its id or its name; NotFound where there is none."""
    runs = Run.objects.select_related("dataset", "base", "reward", "auxiliary", "job", "created_by", "checkpoint")
    return _find(runs, reference, _("run"))


def get_checkpoint(reference: object) -> Checkpoint:
    """A checkpoint by its id or its name; NotFound where there is none."""
    return _find(Checkpoint.objects.select_related("run__dataset", "run__base", "endpoint"), reference, _("model"))


def get_dataset(reference: object) -> Dataset:
    """A data set by its id, its name, its content hash (or ten digits and more of it) or its folder."""
    text = str(reference)
    try:
        return _find(Dataset.objects.all(), reference, _("data set"))
    except NotFound:
        by_hash = Q(content_hash__startswith=text) if len(text) >= 10 else Q(pk=None)
        by_folder = Q(folder=str(Path(text).resolve())) if "/" in text else Q(pk=None)
        found = Dataset.objects.filter(by_hash | by_folder)[:2]
        if len(found) != 1:
            raise
        return found[0]


def _find(rows: QuerySet, reference: object, what: str):
    if not isinstance(reference, str | uuid.UUID):
        raise Refusal(_("Name the {what} by its id or name, as a string.").format(what=what))
    try:
        query = Q(pk=uuid.UUID(str(reference)))
    except ValueError:
        query = Q(name=str(reference))
    found = rows.filter(query).exclude(name="", pk__isnull=True).first() if str(reference) else None
    if found is None:
        raise NotFound(_("There is no {what} {reference!r}.").format(what=what, reference=str(reference)[:80]))
    return found


def suggest_name(algorithm: str) -> str:
    """A free name for the next run: rm-1, rm-2, …"""
    number = Run.objects.filter(algorithm=algorithm).count() + 1
    while name_is_taken(f"{algorithm}-{number}"):
        number += 1
    return f"{algorithm}-{number}"


def name_is_taken(name: str) -> bool:
    return Run.objects.filter(name=name).exists() or Checkpoint.objects.filter(name=name).exists()


def datasets_for(algorithm: str) -> QuerySet[Dataset]:
    """Complete data sets that this algorithm learns from, newest first."""
    kind = DATASET_FOR[algorithm]
    found = Dataset.objects.filter(kind=kind).exclude(content_hash="").exclude(pk__in=tainted_ids())
    return found.order_by("-created_at")


def has_held_out(dataset: Dataset) -> bool:
    """Whether an answer of a held-out labeler went into the data set (an export for testing reward models, say)."""
    held_out = Q(ranking__group="held_out") | Q(demonstration__group="held_out") | Q(review__group="held_out")
    return DatasetRow.objects.filter(held_out, dataset=dataset).exists()


@dataclass(frozen=True)
class Watched:
    """A run as its page shows it at one moment."""

    run: Run
    job: Job | None
    state: str
    error: str
    step: int
    total: int
    phase: str
    series: dict[str, list[tuple[float, float]]]
    report: dict

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running")


def watch(run: Run) -> Watched:
    """The run's state from its job, the rest from its folder, at most some hundred points a curve."""
    folder, job = Path(run.folder), run.job
    progress = files.read_object(folder / "progress.json")
    return Watched(
        run=run,
        job=job,
        state=job.state if job else "done",
        error=job.error if job else "",
        step=_count(progress.get("step")),
        total=_count(progress.get("total")),
        phase=str(progress.get("phase", ""))[:60],
        series=files.series(files.json_lines(folder / "metrics.jsonl")),
        report=run.report or files.read_object(folder / "report.json"),
    )


def _count(value: object) -> int:
    return max(0, value) if isinstance(value, int) else 0


# Lineage. Checkpoints and data sets form a graph: run.base, run.reward and run.auxiliary point backwards.


@dataclass(frozen=True)
class Ancestor:
    """One checkpoint that another comes from, with the run that made it and what went into it."""

    checkpoint: Checkpoint
    run: Run | None
    relation: str  # "itself", "base" or "reward"
    depth: int
    datasets: list[Dataset] = field(default_factory=list)
    rankings: int = 0
    demonstrations: int = 0
    prompts: int = 0


def lineage(checkpoint: Checkpoint) -> list[Ancestor]:
    """The checkpoint and all that it comes from, nearest first, with the number of rows that each run learned from."""
    found: list[Ancestor] = []
    seen: set[uuid.UUID] = set()
    level = [(checkpoint, "itself")]
    depth = 0
    while level:
        following = []
        for one, relation in level:
            if one.pk in seen:
                continue
            seen.add(one.pk)
            run = one.run
            if run is None:
                found.append(Ancestor(checkpoint=one, run=None, relation=relation, depth=depth))
                continue
            datasets = [run.dataset, *([run.auxiliary] if run.auxiliary else [])]
            found.append(
                Ancestor(checkpoint=one, run=run, relation=relation, depth=depth, datasets=datasets, **_rows(datasets))
            )
            following.append((run.base, "base"))
            if run.reward:
                following.append((run.reward, "reward"))
        level, depth = following, depth + 1
    return found


def _rows(datasets: list[Dataset]) -> dict[str, int]:
    rows = DatasetRow.objects.filter(dataset__in=datasets)
    return {
        "rankings": rows.filter(ranking__isnull=False).count(),
        # A dialogue has a row for each turn of its assistant.
        "demonstrations": rows.filter(demonstration__isnull=False).values("demonstration").distinct().count(),
        "prompts": rows.values("prompt").distinct().count(),
    }


# From data sets to the runs that read them, then along base and reward to every descendant.
DESCENDANTS = """
WITH RECURSIVE learned (checkpoint, run) AS (
    SELECT checkpoint.id, run.id
    FROM labeling_run run JOIN labeling_checkpoint checkpoint ON checkpoint.run_id = run.id
    WHERE run.dataset_id = ANY (%(datasets)s) OR run.auxiliary_id = ANY (%(datasets)s)
    UNION
    SELECT checkpoint.id, run.id
    FROM learned
    JOIN labeling_run run ON run.base_id = learned.checkpoint OR run.reward_id = learned.checkpoint
    JOIN labeling_checkpoint checkpoint ON checkpoint.run_id = run.id
)
SELECT DISTINCT checkpoint FROM learned
"""


def checkpoints_of_datasets(datasets: list[uuid.UUID]) -> QuerySet[Checkpoint]:
    """Checkpoints that learned from any of the data sets, directly or through parents and rewards, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(DESCENDANTS, {"datasets": datasets})
        found = [row[0] for row in cursor.fetchall()]
    return Checkpoint.objects.filter(pk__in=found).order_by("created_at", "pk")


def tainted_checkpoints() -> set[uuid.UUID]:
    """Ids of all models that learned, themselves or through parents and rewards, from data that were erased since."""
    marked = list(tainted_ids())
    return set(checkpoints_of_datasets(marked).values_list("pk", flat=True)) if marked else set()


def tainted_datasets(checkpoint: Checkpoint) -> list[Dataset]:
    """Of the data sets behind the checkpoint those that have what was erased since."""
    behind = {dataset.pk: dataset for one in lineage(checkpoint) for dataset in one.datasets}
    return [behind[pk] for pk in tainted_ids(behind)]


def runs_of_datasets(datasets: Collection[uuid.UUID]) -> QuerySet[Run]:
    """Runs that read any of the data sets, oldest first."""
    return Run.objects.filter(Q(dataset__in=datasets) | Q(auxiliary__in=datasets)).order_by("created_at", "pk")


def checkpoints_of_ranking(ranking: Ranking) -> QuerySet[Checkpoint]:
    """Every checkpoint that learned from this ranking."""
    return checkpoints_of_datasets(list(ranking.dataset_rows.values_list("dataset", flat=True)))


def checkpoints_of_prompt(prompt: Prompt) -> QuerySet[Checkpoint]:
    """Every checkpoint that learned from this prompt, or from any answer to it."""
    return checkpoints_of_datasets(list(prompt.dataset_rows.values_list("dataset", flat=True).distinct()))


def publishing_job(checkpoint: Checkpoint) -> Job | None:
    """The newest job that publishes or published the checkpoint."""
    return Job.objects.filter(kind="publish", key=f"publish:{checkpoint.pk}").order_by("-created_at").first()
