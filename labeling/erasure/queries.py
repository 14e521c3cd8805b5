"""Tombstones, and what of data sets, runs and models had to do with what was erased."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.erasure.blanking import Blanking
from labeling.erasure.models import Erasure, Retention
from labeling.exports.models import Dataset, Taint
from labeling.exports.taint import rebuilt_of
from labeling.intake.models import Prompt, RefusedPerson, SourceUser
from labeling.paging import Page, keyset_page
from labeling.pipeline.models import Checkpoint, Run
from labeling.pipeline.queries import checkpoints_of_datasets, runs_of_datasets
from labeling.refusals import NotFound

# Kinds of rows that a reader makes something of, by scope; the others come with them.
KINDS_TOLD = {
    "prompt": gettext_lazy("prompts"),
    "completion": gettext_lazy("completions"),
    "ranking": gettext_lazy("rankings"),
    "demonstration": gettext_lazy("written answers"),
    "written": gettext_lazy("prompts as they were written"),
    "review": gettext_lazy("reviews"),
    "lease": gettext_lazy("tasks with their drafts"),
    "question": gettext_lazy("questions about tasks"),
}


@dataclass(frozen=True)
class Followed:
    """One marked data set with what read it: runs directly, and every model that learned from it, children too."""

    dataset: Dataset
    prompts: int
    rows: int
    rebuilt: Dataset | None
    runs: list[Run]
    checkpoints: list[Checkpoint]


def erasures_page(*, after: str | None = None) -> Page:
    """Tombstones, newest first."""
    rows = Erasure.objects.select_related("source", "actor")
    return keyset_page(rows, order=("-at", "-id"), after=after)


def get_erasure(erasure_id: uuid.UUID | str) -> Erasure:
    try:
        found = Erasure.objects.select_related("source", "actor").filter(pk=uuid.UUID(str(erasure_id))).first()
    except ValueError:
        found = None
    if found is None:
        raise NotFound(_("There is no erasure with this id."))
    return found


def get_source_user_by_number(number: int) -> SourceUser:
    found = SourceUser.objects.select_related("source").filter(pk=number).first()
    if found is None:
        raise NotFound(_("There is no source user of this number."))
    return found


def followed(erasure: Erasure) -> list[Followed]:
    """The taint report: every data set that the erasure marked, oldest first."""
    return [
        Followed(
            dataset=taint.dataset,
            prompts=taint.prompts,
            rows=taint.rows,
            rebuilt=rebuilt_of(taint.dataset),
            runs=list(runs_of_datasets([taint.dataset_id])),
            checkpoints=list(checkpoints_of_datasets([taint.dataset_id]).select_related("endpoint")),
        )
        for taint in Taint.objects.filter(erasure=erasure).select_related("dataset").order_by("dataset__created_at")
    ]


def is_refused(erasure: Erasure) -> bool:
    """Whether intake takes nothing more of the person."""
    return bool(erasure.person_key) and RefusedPerson.objects.filter(key=erasure.person_key).exists()


def held_of(person: SourceUser) -> list[tuple[str, int]]:
    """How many rows of each kind, in words, there are of a person: what an erasure would take."""
    ids = list(Prompt.objects.filter(source_user=person).exclude(state="erased").values_list("pk", flat=True))
    found = Blanking(ids).ids
    return [(str(words), len(found[kind])) for kind, words in KINDS_TOLD.items() if found[kind]]


def counts_of(erasure: Erasure) -> list[tuple[str, int]]:
    """The same of what an erasure took."""
    tables = {"written": "writtenprompt"}
    counted = {kind: erasure.counts.get(tables.get(kind, kind), 0) for kind in KINDS_TOLD}
    return [(str(KINDS_TOLD[kind]), count) for kind, count in counted.items() if count]


def retentions() -> QuerySet[Retention]:
    return Retention.objects.select_related("source").order_by("source__name")


def retention_json(retention: Retention) -> dict:
    return {"source": retention.source.name, "days": retention.days, "answers": retention.answers}


def report_of(erasure: Erasure) -> dict:
    """The tombstone and its taint report as JSON."""
    return tombstone(erasure) | {
        "datasets": [
            {
                "id": str(each.dataset.pk),
                "content_hash": each.dataset.content_hash,
                "prompts": each.prompts,
                "rows": each.rows,
                "rebuilt": each.rebuilt.content_hash if each.rebuilt else None,
                "runs": [run.name for run in each.runs],
                "checkpoints": [
                    {"name": one.name, "kind": one.kind, "served_as": one.endpoint.name if one.endpoint else None}
                    for one in each.checkpoints
                ],
            }
            for each in followed(erasure)
        ],
    }


def tombstone(erasure: Erasure) -> dict:
    return {
        "id": str(erasure.pk),
        "why": erasure.why,
        "source": erasure.source.name,
        "person": erasure.person_key,
        "at": erasure.at.isoformat(),
        "by": erasure.actor.username if erasure.actor else None,
        "reason": erasure.reason,
        "answers": erasure.answers,
        "refused": erasure.refused,
        "counts": erasure.counts,
    }
