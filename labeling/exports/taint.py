"""What is said of a data set whose prompts were erased after it was made.

Its files never change; the mark is a row, and a file beside its folder for whoever has only the files. An export that
is under way while somebody is erased is ended and made anew: `keep_out_erasure` and `shut_out_exports` see to it that
either the export is stored first, and the erasure marks it, or the erasure is first, and the export finds out.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Iterable
from pathlib import Path

from django.db import connection
from django.db.models import Max, Sum
from django.utils.translation import gettext as _

from labeling.exports.models import Dataset, DatasetRow, Taint
from labeling.intake.models import Prompt
from labeling.refusals import TryLater

# Held, shared, by every transaction that stores a data set, and alone by every one that erases.
LOCK = "data sets and erasure"


class ErasedMeanwhile(TryLater):
    """Somebody's data were erased while the data set was being written."""

    code = "erased_meanwhile"

    def __init__(self) -> None:
        super().__init__(
            _("Somebody’s data were erased while this data set was being written, and are in it. Export again.")
        )


def keep_out_erasure() -> None:
    """From here to the commit nothing is erased."""
    _lock("pg_advisory_xact_lock_shared")


def shut_out_exports() -> None:
    """From here to the commit no data set is stored; those that were are seen by the next statement."""
    _lock("pg_advisory_xact_lock")


def _lock(function: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(hashtext(%s))", [LOCK])


def refuse_erased(dataset: Dataset) -> None:
    """Raises ErasedMeanwhile where a row just stored is of a prompt that is erased. Under `keep_out_erasure`."""
    if DatasetRow.objects.filter(dataset=dataset, prompt__state=Prompt.State.ERASED).exists():
        raise ErasedMeanwhile


MARK = """
    INSERT INTO labeling_taint (dataset_id, erasure_id, prompts, rows)
    SELECT dataset_id, %(erasure)s, count(DISTINCT prompt_id), count(*)
    FROM labeling_datasetrow WHERE prompt_id = ANY(%(prompts)s) GROUP BY dataset_id
    ON CONFLICT DO NOTHING RETURNING dataset_id
"""


def mark_datasets(*, prompts: Collection[uuid.UUID], erasure_id: uuid.UUID) -> list[uuid.UUID]:
    """Mark every data set with one of the prompts, in the caller's transaction, which has shut out exports; which."""
    with connection.cursor() as cursor:
        cursor.execute(MARK, {"prompts": list(prompts), "erasure": erasure_id})
        return [row[0] for row in cursor.fetchall()]


def is_tainted(dataset: Dataset) -> bool:
    return Taint.objects.filter(dataset=dataset).exists()


def tainted_ids(datasets: Iterable[uuid.UUID] | None = None) -> set[uuid.UUID]:
    """Which of `datasets` are marked; of all there are where none are named."""
    rows = Taint.objects.order_by()
    if datasets is not None:
        rows = rows.filter(dataset__in=list(datasets))
    return set(rows.values_list("dataset", flat=True).distinct())


def taint_of(dataset: Dataset) -> dict | None:
    """{"prompts", "rows", "erasures", "since", "rebuilt"} as JSON, None for a data set that is not marked. `rebuilt` is
    the content hash of the newest one that was made in its place and is not marked itself."""
    found = Taint.objects.filter(dataset=dataset)
    sums = found.aggregate(prompts=Sum("prompts"), rows=Sum("rows"), since=Max("at"))
    if sums["prompts"] is None:
        return None
    rebuilt = rebuilt_of(dataset)
    return {
        "prompts": sums["prompts"],
        "rows": sums["rows"],
        "erasures": [str(pk) for pk in found.order_by("id").values_list("erasure", flat=True)],
        "since": sums["since"].isoformat(),
        "rebuilt": rebuilt.content_hash if rebuilt else None,
    }


def rebuilt_of(dataset: Dataset) -> Dataset | None:
    """The newest complete data set that was made in place of this one, and is not marked."""
    asked = Dataset.objects.filter(rebuilds=dataset).select_related("same_as").order_by("-created_at")
    whole = [each.same_as or each for each in asked]
    marked = tainted_ids(each.pk for each in whole)
    return next((each for each in whole if each.content_hash and each.pk not in marked), None)


# Beside the folder, for whoever has the files alone


def sidecar_of(folder: Path) -> Path:
    """Where the mark of the data set in `folder` lies: beside it, for nothing in it ever changes."""
    return folder.with_name(f"{folder.name}.tainted.json")


def write_sidecars(datasets: Iterable[uuid.UUID]) -> None:
    """The marks of these data sets as files; written again they are the same. Folders that are gone get none."""
    for dataset in Dataset.objects.filter(pk__in=list(datasets)).exclude(folder=""):
        folder, said = Path(dataset.folder), taint_of(dataset)
        if said is None or not folder.is_dir():
            continue
        words = {"content_hash": dataset.content_hash, "tainted": said}
        aside = sidecar_of(folder).with_suffix(f".{uuid.uuid4().hex}")
        aside.write_text(json.dumps(words, indent=1) + "\n", encoding="utf-8")
        os.replace(aside, sidecar_of(folder))
