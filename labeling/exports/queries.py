"""Reading data sets, and following their rows to what they came from."""

from __future__ import annotations

import uuid

from django.db.models import Prefetch, QuerySet

from labeling.demos.models import Demonstration
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.taint import taint_of
from labeling.intake.models import Prompt
from labeling.paging import Page, keyset_page
from labeling.rankings.models import Judgment, Ranking
from labeling.sampling.models import Provenance


def page_of_datasets(*, after: str | None = None, size: int = 30) -> Page:
    """Data sets, newest first; requests that turned out to be one that was there are not listed again."""
    datasets = Dataset.objects.filter(same_as=None).select_related("job", "created_by")
    return keyset_page(datasets, order=("-created_at", "-id"), after=after, size=size)


def complete_datasets(kind: str | None = None) -> QuerySet[Dataset]:
    """Data sets that can be trained on, newest first."""
    datasets = Dataset.objects.exclude(content_hash="").order_by("-created_at")
    return datasets.filter(kind=kind) if kind else datasets


def others_like(dataset: Dataset, *, most: int = 100) -> QuerySet[Dataset]:
    """The newest complete data sets of the same kind that it can be compared with."""
    return complete_datasets(dataset.kind).exclude(pk=dataset.pk)[:most]


def datasets_of_ranking(ranking: Ranking) -> QuerySet[Dataset]:
    """Every data set that the ranking went into."""
    return Dataset.objects.filter(rows__ranking=ranking).distinct().order_by("created_at")


def datasets_of_demonstration(demonstration: Demonstration) -> QuerySet[Dataset]:
    return Dataset.objects.filter(rows__demonstration=demonstration).distinct().order_by("created_at")


def datasets_of_prompt(prompt: Prompt) -> QuerySet[Dataset]:
    """Every data set with the prompt or an answer to it."""
    return Dataset.objects.filter(rows__prompt=prompt).distinct().order_by("created_at")


def row_origin(dataset: Dataset, row_id: str) -> DatasetRow | None:
    """The row with this id (a ranking's, demonstration's or prompt's) and whence it came; None if not in here."""
    try:
        key = uuid.UUID(row_id)
    except ValueError:
        return None
    by = {"demonstrations": "demonstration", "prompts": "prompt"}.get(dataset.kind, "ranking")
    answers = [
        f"{name}__{path}"
        for name in ("ranking", "demonstration", "review")
        for path in ("labeler", "lease__seat", "task__batch", "task__item")
    ]
    provenance = Prefetch("completion__provenance", Provenance.objects.select_related("endpoint").order_by("id"))
    judgments = Judgment.objects.select_related("completion").prefetch_related(provenance).order_by("rank", "id")
    rows = DatasetRow.objects.filter(dataset=dataset).select_related("prompt__source", "prompt__source_user", *answers)
    rows = rows.prefetch_related(Prefetch("ranking__judgments", judgments))
    found = rows.filter(**{by: key}).first()
    if found is None and by == "ranking":
        # A row of consensus has its task's id, and comes from each of its answers.
        found = rows.filter(ranking__in=Ranking.objects.filter(task=key)).first()
    return found


def dataset_summary(dataset: Dataset) -> dict:
    """A data set as the API shows it. One that was there before stands for the request that found it."""
    whole = dataset.same_as or dataset
    job = dataset.job
    state = "done" if whole.content_hash else (job.state if job else "queued")
    return {
        "id": str(dataset.pk),
        "name": dataset.name,
        "kind": dataset.kind,
        "state": state,
        "error": job.error if job and not whole.content_hash else "",
        "rows_done": job.done if job and not whole.content_hash else None,
        "question": dataset.question,
        "content_hash": whole.content_hash,
        "same_as": str(dataset.same_as_id) if dataset.same_as_id else None,
        "rebuilds": str(dataset.rebuilds_id) if dataset.rebuilds_id else None,
        "tainted": taint_of(whole),
        "counts": whole.manifest.get("counts"),
        "exclusions": whole.manifest.get("exclusions"),
        "files": whole.manifest.get("files"),
        "created_at": dataset.created_at.isoformat(),
    }
