"""Make data sets: one snapshot of the database, streamed into files, named by their content, never half visible."""

from __future__ import annotations

import gc
import itertools
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.background import services as background
from labeling.background.models import Job
from labeling.exports import taint
from labeling.exports.card import about, data_card
from labeling.exports.lines import Line, Tally
from labeling.exports.models import Dataset, DatasetRow
from labeling.exports.parquet import sinks
from labeling.exports.question import TRAINING, read_question
from labeling.exports.reading import chunks
from labeling.exports.rows import lines_of
from labeling.governance.outputs import OutputGate
from labeling.people.models import User
from labeling.refusals import NotFound, Refusal
from labeling.text import check_text
from training.formats import CARD, DatasetWriter, FormatError, read_manifest, verify

Beat = Callable[..., None]
# Seconds between signs of life of a running export.
BEAT_EVERY = 2.0
LINES_AT_ONCE = 500
# Texts that the detector looked at before what it found is kept.
FINDINGS_AT_ONCE = 5_000
# Times that an export begins anew because somebody was erased meanwhile.
ATTEMPTS = 3
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
    made = _make_anew(dataset, beat or (lambda **_: None))
    if target is not None:
        copy_out(dataset=made, out=target)
    return made


def request_dataset(
    *,
    kind: str,
    question: dict[str, Any] | None,
    created_by: User | None,
    name: str = "",
    rebuilds: Dataset | None = None,
) -> Dataset:
    """A data set to be made by a job: a row without a hash until the job is done."""
    question = read_question(kind=kind, question=question)
    check_name(name)
    with transaction.atomic(durable=True):
        dataset = Dataset.objects.create(
            kind=kind, question=question, name=name, created_by=created_by, rebuilds=rebuilds
        )
        dataset.job = background.enqueue(
            kind="export",
            arguments={"dataset": str(dataset.pk)},
            key=f"export:{dataset.pk}",
            created_by=created_by,
        )
        dataset.save(update_fields=["job"])
        record(actor=created_by, action="dataset.requested", subject=dataset, kind=kind, name=name)
    return dataset


def rebuild_dataset(*, dataset: Dataset, created_by: User | None) -> Dataset:
    """The same question asked again, beside a data set that has what was erased since: the one that a job makes now.

    One that is being made, or was made and is not marked itself, stands for another. Refusal for a data set that is
    not marked.
    """
    if not taint.is_tainted(dataset):
        raise Refusal(_("Nothing in this data set was erased; there is nothing to leave out."))
    if (made := taint.rebuilt_of(dataset)) is not None:
        return made
    waiting = Dataset.objects.filter(rebuilds=dataset, content_hash="", same_as=None, job__state__in=Job.OPEN).first()
    if waiting is not None:
        return waiting
    return request_dataset(
        kind=dataset.kind,
        question=dataset.question,
        created_by=created_by,
        name=dataset.name and rebuilt_name(dataset.name),
        rebuilds=dataset,
    )


def rebuilt_name(name: str) -> str:
    """A free name beside `name`, in at most 100 characters."""
    for number in itertools.count(1):
        ending = " rebuilt" if number == 1 else f" rebuilt {number}"
        new = name[: 100 - len(ending)] + ending
        if not Dataset.objects.filter(name=new).exists():
            return new
    raise AssertionError("unreachable")


def complete_dataset(*, dataset: Dataset, beat: Beat) -> Dataset:
    """Make the files of a requested data set; the data set itself, or the one that has the same content."""
    if dataset.content_hash or dataset.same_as_id:
        return dataset.same_as or dataset
    return _make_anew(dataset, beat)


def _make_anew(dataset: Dataset, beat: Beat) -> Dataset:
    """`_make`, again where somebody was erased while it ran. Raises ErasedMeanwhile where that never ends."""
    for _attempt in range(ATTEMPTS - 1):
        try:
            return _make(dataset, beat)
        except taint.ErasedMeanwhile:
            continue
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
        folder = home / manifest["content_hash"]
        there = folder.is_dir()
        _put_in_place(staging, folder)
        try:
            # One that was there already, of an export that died before its row was stored, was made at another time.
            return _store(dataset, read_manifest(folder), folder, lineage)
        except taint.ErasedMeanwhile:
            if not there and not Dataset.objects.filter(content_hash=manifest["content_hash"]).exists():
                remove_folder(folder)
            raise
    finally:
        lineage.unlink(missing_ok=True)
        remove_folder(staging)


def _write(dataset: Dataset, staging: Path, lineage: Path, beat: Beat) -> dict:
    """Stream the rows into files under `staging`, and whence each came into `lineage`; returns the manifest."""
    tally, told, gate = Tally(), time.monotonic(), OutputGate()
    kind, question = dataset.kind, dataset.question
    with (
        elsewhere() as away,
        DatasetWriter(
            staging, kind=kind, question=question, formats=question.get("formats", ()), sinks=sinks(kind)
        ) as writer,
        lineage.open("w", encoding="ascii") as origins,
        ThreadPoolExecutor(1, thread_name_prefix="export-write") as hand,
        without_collection(),
        snapshot(),
    ):
        written: Future | None = None
        away(beat, done=0, note="reading")
        for some in chunks(lines_of(kind, question, tally, gate), LINES_AT_ONCE):
            for line in some:
                guard(line, question)
                # Each answer that the row learned from: its own, then those behind its consensus.
                answers = dict.fromkeys([line.answer, *line.behind]) if line.answer else line.behind or [None]
                for answer in answers:
                    origins.write(f"{line.prompt}\t{answer or ''}\t{line.review or ''}\n")
            if written is not None:
                written.result()
            # Rows are written while the database looks for the next.
            written = hand.submit(_add, writer, some)
            if gate.unremembered > FINDINGS_AT_ONCE:
                # At once and for good: memory stays flat, and an export that is begun again finds them.
                away(gate.remember)
            if time.monotonic() - told > BEAT_EVERY:
                away(beat, done=tally.rows)
                told = time.monotonic()
        if written is not None:
            written.result()
        away(gate.remember)
        away(beat, done=tally.rows, total=tally.rows, note="writing")
        exclusions = dict(sorted(tally.exclusions.items()))
        return writer.finish(counts=tally.as_counts(), exclusions=exclusions, extra=about(tally, gate), card=data_card)


def _add(writer: DatasetWriter, some: list[Line]) -> None:
    for split, lines in groupby(some, key=lambda line: line.split):
        writer.add_rows(split, [line.row for line in lines])


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for cycles meanwhile: rows have none and are many, and the search was a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


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
def elsewhere() -> Iterator[Callable[..., Any]]:
    """Calls a function on a connection of its own: inside the snapshot it could not write, and nobody would see it."""
    if connection.in_atomic_block:
        yield lambda do, **values: do(**values)  # a test's own transaction, which no other connection sees into
        return
    with ThreadPoolExecutor(1, thread_name_prefix="export-beat") as thread:
        try:
            yield lambda do, **values: thread.submit(do, **values).result()
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
    if same is not None and taint.is_tainted(same):
        raise taint.ErasedMeanwhile
    if same is None:
        try:
            with transaction.atomic(durable=True):
                taint.keep_out_erasure()
                dataset.content_hash, dataset.folder = manifest["content_hash"], str(folder)
                dataset.manifest, dataset.completed_at = manifest, Now()
                dataset.save()
                _copy_lineage(dataset, lineage)
                taint.refuse_erased(dataset)
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
            _forget(dataset)
        except taint.ErasedMeanwhile:
            _forget(dataset)
            raise
    requested = Dataset.objects.filter(pk=dataset.pk, content_hash="")
    requested.update(same_as=same, completed_at=Now())
    return same


def _forget(dataset: Dataset) -> None:
    """The row as it was before it was stored, where it was not."""
    dataset.content_hash, dataset.folder, dataset.manifest, dataset.completed_at = "", "", {}, None


def _copy_lineage(dataset: Dataset, lineage: Path) -> None:
    """One row per exported row, by COPY: a million of them is a matter of seconds."""
    answers = {
        Dataset.Kind.COMPARISONS: ["ranking_id"],
        Dataset.Kind.EVALUATIONS: ["ranking_id"],
        Dataset.Kind.RATINGS: ["ranking_id"],
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
    if dataset.manifest.get("card"):
        names.add(CARD)
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


def check_dataset(dataset: Dataset) -> list[str]:
    """What differs between the data set's files and what was stored when it was made; empty where they are intact."""
    folder = folder_of(dataset)
    problems = check_folder(folder)
    if not problems and read_manifest(folder)["content_hash"] != dataset.content_hash:
        problems.append(_("{folder} holds another data set.").format(folder=folder))
    return problems


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
