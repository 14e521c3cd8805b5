"""Make data sets: one snapshot of the database, streamed into files, named by their content, never half visible."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background import services as background
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.question import TRAINING, read_question
from labeling.exports.rows import Line, Tally, lines_of
from labeling.people.models import User
from labeling.refusals import NotFound, Refusal
from labeling.text import check_text
from training.formats import DatasetWriter, FormatError, verify

Beat = Callable[..., None]
# Seconds between signs of life of a running export.
BEAT_EVERY = 2.0
# Folders that a killed export left are removed by a later one once they are this old, seconds. No export runs a day.
LEFTOVER_AGE = 86_400


class HeldOutInTraining(AssertionError):
    """A held-out labeler's answer was about to enter a training export: a fault in Kwise, and the export ends."""


def create_dataset(
    *,
    kind: str,
    question: dict[str, Any] | None = None,
    out: Path | str | None = None,
    created_by: User | None = None,
    name: str = "",
    beat: Beat | None = None,
) -> Dataset:
    """The data set that answers `question` now, complete; with `out`, its files in that new folder too.

    The same question asked of the same data gives the data set that is there already. Must not be called inside a
    transaction: it reads in a snapshot of its own. Raises Refusal with a sentence; then nothing was made.
    """
    question = read_question(kind=kind, question=question)
    check_name(name)
    target = check_out(out) if out is not None else None
    dataset = Dataset(kind=kind, question=question, name=name, created_by=created_by)
    made = _make(dataset, beat or (lambda **_: None))
    if target is not None:
        copy_out(dataset=made, out=target)
    return made


def request_dataset(*, kind: str, question: dict[str, Any] | None, created_by: User | None, name: str = "") -> Dataset:
    """A data set to be made by a job: a row without a hash until the job is done."""
    question = read_question(kind=kind, question=question)
    check_name(name)
    with transaction.atomic(durable=True):
        dataset = Dataset.objects.create(kind=kind, question=question, name=name, created_by=created_by)
        dataset.job = background.enqueue(
            kind="export",
            arguments={"dataset": str(dataset.pk)},
            key=f"export:{dataset.pk}",
            created_by=created_by,
        )
        dataset.save(update_fields=["job"])
        record(actor=created_by, action="dataset.requested", subject=dataset, kind=kind, name=name)
    return dataset


def complete_dataset(*, dataset: Dataset, beat: Beat) -> Dataset:
    """Make the files of a requested data set; the data set itself, or the one that has the same content."""
    if dataset.content_hash or dataset.same_as_id:
        return dataset.same_as or dataset
    return _make(dataset, beat)


def check_name(name: str) -> None:
    check_text(name, where=_("the name"))
    if len(name) > 100:
        raise Refusal(_("The name has {count} characters; at most 100 fit.").format(count=len(name)))


def _make(dataset: Dataset, beat: Beat) -> Dataset:
    home = Path(settings.DATASETS_FOLDER)
    home.mkdir(parents=True, exist_ok=True)
    remove_leftovers(home)
    # Hidden and in the same folder: putting it in place is one rename.
    staging = home / f".export-{uuid.uuid4().hex}"
    lineage = staging.with_suffix(".lineage")
    try:
        manifest = _write(dataset, staging, lineage, beat)
        folder = _put_in_place(staging, home / manifest["content_hash"])
        return _store(dataset, manifest, folder, lineage)
    finally:
        lineage.unlink(missing_ok=True)
        remove_folder(staging)


def _write(dataset: Dataset, staging: Path, lineage: Path, beat: Beat) -> dict:
    """Stream the rows into files under `staging`, and whence each came into `lineage`; returns the manifest."""
    tally, told = Tally(), time.monotonic()
    with (
        elsewhere(beat) as tell,
        DatasetWriter(staging, kind=dataset.kind, question=dataset.question) as writer,
        lineage.open("w", encoding="ascii") as origins,
        snapshot(),
    ):
        tell(done=0, note="reading")
        for line in lines_of(dataset.kind, dataset.question, tally):
            guard(line, dataset.question)
            writer.add(line.split, line.row)
            # Each answer that the row learned from: its own, then those behind its consensus.
            for answer in dict.fromkeys([line.answer, *line.behind]) if line.answer else line.behind or [None]:
                origins.write(f"{line.prompt}\t{answer or ''}\t{line.review or ''}\n")
            if time.monotonic() - told > BEAT_EVERY:
                tell(done=tally.rows)
                told = time.monotonic()
        tell(done=tally.rows, total=tally.rows, note="writing")
        return writer.finish(counts=tally.as_counts(), exclusions=dict(sorted(tally.exclusions.items())), extra={})


def guard(line: Line, question: dict) -> None:
    """The last look at a row before it is written: promise 8 does not hang on one WHERE alone."""
    hands = (line.row.get("group"), line.row.get("reviewer_group"), *line.groups)
    if question["purpose"] == TRAINING and User.Group.HELD_OUT in hands:
        raise HeldOutInTraining(f"row {line.row['id']} is a held-out labeler's and the export is for training")


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction in which every query sees the data of one moment. Must be the outermost."""
    # Inside another transaction `durable` lets only a test's own through, and there the level cannot be set any more.
    outermost = not connection.in_atomic_block
    with transaction.atomic(durable=True):
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def elsewhere(beat: Beat) -> Iterator[Beat]:
    """`beat` on a connection of its own: inside the snapshot it could not write, and nobody would see it."""
    if connection.in_atomic_block:
        yield beat  # a test's own transaction, which no other connection sees into
        return
    with ThreadPoolExecutor(1, thread_name_prefix="export-beat") as thread:
        try:
            yield lambda **news: thread.submit(beat, **news).result()
        finally:
            thread.submit(lambda: connection.close()).result()  # that thread's, not this one's


def _put_in_place(staging: Path, folder: Path) -> Path:
    """Rename the finished folder to its hash. One that is there already has the same bytes, or is refused."""
    try:
        staging.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        if problems := verify(folder):
            raise Refusal(
                _(
                    "{folder} is damaged: {problems}. Move that folder away and export again; the data are still "
                    "in the database."
                ).format(folder=folder, problems=problems[0])
            ) from None
    return folder


def _store(dataset: Dataset, manifest: dict, folder: Path, lineage: Path) -> Dataset:
    """The complete data set as a row with its lineage; where its content was there before, that one."""
    same = Dataset.objects.filter(content_hash=manifest["content_hash"]).first()
    if same is None:
        try:
            with transaction.atomic(durable=True):
                dataset.content_hash, dataset.folder = manifest["content_hash"], str(folder)
                dataset.manifest, dataset.completed_at = manifest, Now()
                dataset.save()
                _copy_lineage(dataset, lineage)
                record(
                    actor=dataset.created_by,
                    action="dataset.made",
                    subject=dataset,
                    content_hash=dataset.content_hash,
                    rows=manifest["counts"]["rows"],
                )
            dataset.refresh_from_db()
            return dataset
        except IntegrityError:
            # Another export of the same question was first by a moment.
            same = Dataset.objects.get(content_hash=manifest["content_hash"])
            dataset.content_hash, dataset.folder, dataset.manifest, dataset.completed_at = "", "", {}, None
    requested = Dataset.objects.filter(pk=dataset.pk, content_hash="")
    requested.update(same_as=same, completed_at=Now())
    return same


def _copy_lineage(dataset: Dataset, lineage: Path) -> None:
    """One row per exported row, by COPY: a million of them is a matter of seconds."""
    answers = {
        Dataset.Kind.COMPARISONS: ["ranking_id"],
        Dataset.Kind.DEMONSTRATIONS: ["demonstration_id", "review_id"],
        Dataset.Kind.PROMPTS: [],
    }
    columns = ["dataset_id", "prompt_id", *answers[dataset.kind]]
    table = DatasetRow._meta.db_table
    with (
        lineage.open(encoding="ascii") as origins,
        connection.cursor() as cursor,
        cursor.copy(f'COPY "{table}" ({", ".join(columns)}) FROM STDIN') as copy,
    ):
        for origin in origins:
            known = [value or None for value in origin.rstrip("\n").split("\t")]
            copy.write_row([dataset.pk, *known][: len(columns)])


# Files


def check_out(out: Path | str) -> Path:
    """The folder to write to, which must be new or empty."""
    path = Path(out).expanduser().absolute()
    if path.is_dir() and not any(path.iterdir()):
        return path
    if path.exists() or path.is_symlink():
        raise Refusal(
            _("{path} exists already; a data set never replaces another, choose a new folder.").format(path=path)
        )
    return path


def copy_out(*, dataset: Dataset, out: Path) -> None:
    """Copy the data set's files into the new folder `out`, checked, and visible only when complete.

    Copies, not links: whoever changes a file there must not change the data set.
    """
    folder = folder_of(dataset)
    partial = out.parent / f".{out.name}.partial-{uuid.uuid4().hex}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder, partial)
        problems = verify(partial)
        if problems:
            raise Refusal(
                _("The data set in {folder} is damaged: {problems}. Move that folder away and export again.").format(
                    folder=folder, problems=problems[0]
                )
            )
        if out.is_dir():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise Refusal(
            _("{out} cannot be written: {strerror}; choose another folder.").format(
                out=out, strerror=error.strerror or error
            )
        ) from None
    finally:
        remove_folder(partial)


def folder_of(dataset: Dataset) -> Path:
    """Where the files lie; Refusal where they are gone or not made yet."""
    if not dataset.content_hash:
        raise Refusal(_("This data set is not complete yet; wait for its job."))
    folder = Path(dataset.folder)
    if not folder.is_dir():
        raise NotFound(
            _("The files of this data set are no longer in {folder}; the same export makes them again.").format(
                folder=folder
            )
        )
    return folder


def file_of(dataset: Dataset, name: str) -> Path:
    """The path of one of the data set's files; NotFound for any name that its manifest does not list."""
    names = {entry["path"] for entry in dataset.manifest.get("files", [])} | {"manifest.json"}
    if name not in names:
        raise NotFound(_("This data set has no file of that name."))
    path = folder_of(dataset) / name
    if not path.is_file():
        raise NotFound(
            _("{name} is missing in the data set's folder; the same export makes it again.").format(name=name)
        )
    return path


def check_folder(folder: Path | str) -> list[str]:
    """What differs between a data-set folder and its manifest; Refusal where it is none."""
    try:
        return verify(Path(folder))
    except (FormatError, KeyError, TypeError, OSError) as error:
        raise Refusal(
            str(error)
            if isinstance(error, FormatError)
            else _("{folder} cannot be read: {error!r}").format(folder=folder, error=error)
        ) from None


def remove_folder(folder: Path) -> None:
    """Remove a folder of ours, read-only ones too."""
    if folder.is_dir():
        folder.chmod(0o755)
        shutil.rmtree(folder)


def remove_leftovers(home: Path) -> None:
    """What exports left that were killed without a chance to tidy up."""
    limit = time.time() - LEFTOVER_AGE
    for path in home.glob(".*export-*"):
        try:
            if path.stat().st_mtime > limit:
                continue
            if path.is_dir():
                remove_folder(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue  # its own export, or another one tidying up


def get_dataset(dataset_id: uuid.UUID | str) -> Dataset:
    """NotFound for an unknown id, also one that is no UUID."""
    try:
        found = (
            Dataset.objects.select_related("job", "same_as", "created_by").filter(pk=uuid.UUID(str(dataset_id))).first()
        )
    except ValueError:
        found = None
    if found is None:
        raise NotFound(_("There is no data set with this id."))
    return found
