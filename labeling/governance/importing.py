"""Files of prompts: kept, imported line by line, gone on with after a kill, given up.

A file is known by its SHA-256, together with the source that its lines are to have: while an import of it is
unfinished, whoever brings the same file goes on with that one.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from labeling.audit import services as audit
from labeling.background import services as background
from labeling.background.models import Job
from labeling.governance.services import Outcome, import_prompts, summary_of
from labeling.intake.models import Import
from labeling.intake.reading import Unreadable, count_rows, format_of, read_rows
from labeling.refusals import Conflict, NotFound, Refusal
from labeling.text import check_text

IMPORT = "import_prompts"  # the job
BLOCK = 2**20  # bytes


def uploads() -> Path:
    folder = settings.KWISE_HOME / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def get_import(import_id: uuid.UUID) -> Import:
    found = Import.objects.select_related("created_by", "job").filter(pk=import_id).first()
    if found is None:
        raise NotFound(_("There is no import with this id."))
    return found


def import_file(
    *,
    file: Path,
    source: str = "",
    created_by=None,
    watch: Callable[[Iterable[tuple[int, Any]]], Iterable[tuple[int, Any]]] = iter,
) -> Import:
    """Import `file` in this process, from where an unfinished import of it is; the finished Import.

    `watch` is handed the rows and gives them back. Raises UnknownFormat, or Unreadable, and then leaves no import.
    """
    format_of(file.name)
    name = check_text(file.name, where=_("the file name"))[:200]
    check_text(source, where=_("the source"))
    with file.open("rb") as opened:
        digest = _sha256_of(opened)
    imported, made = _unfinished(digest, name=name, source=source, created_by=created_by)
    try:
        _count_lines(imported, file, name)
        rows = watch(read_rows(file, behind=imported.line))
        return import_prompts(rows=rows, name=name, source=source, created_by=created_by, imported=imported)
    except Refusal:
        if made:
            Import.objects.filter(pk=imported.pk, line=0).delete()
        raise


def _sha256_of(file: BinaryIO, copy: BinaryIO | None = None) -> str:
    """SHA-256 (hex) of what is left in `file`, which goes into `copy` on the way."""
    digest = hashlib.sha256()
    while block := file.read(BLOCK):
        digest.update(block)
        if copy is not None:
            copy.write(block)
    return digest.hexdigest()


def _unfinished(digest: str, *, name: str, source: str, created_by) -> tuple[Import, bool]:
    """The one unfinished import of this file, and whether it is new."""
    what = {"file_sha256": digest, "source": source[:100], "finished_at": None}
    for _attempt in range(3):
        found = Import.objects.filter(**what).first()
        if found is not None:
            return found, False
        try:
            with transaction.atomic():
                return Import.objects.create(**what, name=name, created_by=created_by), True
        except IntegrityError:
            continue  # somebody else begins with it at this moment
    raise Conflict(_("The same file is being imported by others at the moment; try again."))


def _count_lines(imported: Import, file: Path, name: str) -> None:
    if not imported.lines:
        imported.lines = count_rows(file, name=name)
        Import.objects.filter(pk=imported.pk).update(lines=imported.lines)


def start_import(*, upload: BinaryIO, name: str, source: str, created_by) -> Import:
    """Keep a file under KWISE_HOME and queue the job that imports it; of the same file, the one that is unfinished.

    `upload` is read block by block. UnknownFormat for an unknown kind of file.
    """
    name = check_text(name or "", where=_("the file name"))[-200:]
    format_of(name)
    source = check_text(source, where=_("the source")).strip()
    if len(source) > 100:
        raise Refusal(_("A source has a name of at most 100 characters."))
    # The name is ours: what the browser calls the file never becomes a path.
    kept = uploads() / f"{uuid.uuid4().hex}"
    try:
        with kept.open("xb") as copy:
            digest = _sha256_of(upload, copy)
        imported, _made = _unfinished(digest, name=name, source=source, created_by=created_by)
        with transaction.atomic(durable=True):
            imported = Import.objects.select_for_update(no_key=True).get(pk=imported.pk)
            if imported.finished_at is not None:
                raise Conflict(_("The same file has just been imported; look at it under Intake."))
            if not _is_kept(imported):
                imported.file = kept.name
                imported.save(update_fields=["file"])
            imported.job = background.enqueue(
                kind=IMPORT,
                arguments={"import": str(imported.pk)},
                key=f"import:{imported.pk}",
                created_by=created_by,
            )
            imported.save(update_fields=["job"])
            # What went in is another line, when the job is done.
            audit.record(actor=created_by, action="prompts.import_asked", subject=imported, name=name)
    except BaseException:
        kept.unlink(missing_ok=True)
        raise
    if imported.file != kept.name:
        kept.unlink(missing_ok=True)
    return imported


def _is_kept(imported: Import) -> bool:
    return bool(imported.file) and (uploads() / imported.file).is_file()


def import_upload(*, job: Job) -> dict[str, Any]:
    """The job of an upload: import the kept file from where it is, beat by chunk, remove it at its end; the summary.

    A kill, or a cancelled job, keeps the file: started again, the import goes on.
    """
    imported = get_import(uuid.UUID(job.arguments["import"]))
    if imported.finished_at is not None:
        return summary_of(imported)
    if not _is_kept(imported):
        raise Refusal(_("The uploaded file {name!r} is gone; upload it again.").format(name=imported.name))
    file = uploads() / imported.file

    def told(outcomes: list[Outcome]) -> None:
        background.beat(job, done=outcomes[-1].line)

    try:
        background.beat(job, done=imported.line, note=f"reading {imported.name}")
        _count_lines(imported, file, imported.name)
        background.beat(job, done=imported.line, total=imported.lines)
        imported = import_prompts(
            rows=_beating(read_rows(file, name=imported.name, behind=imported.line), job),
            name=imported.name,
            source=imported.source,
            created_by=imported.created_by,
            imported=imported,
            notice=told,
        )
    except Unreadable:
        # Nothing of it can be read: there is nothing to go on with.
        Import.objects.filter(pk=imported.pk).update(finished_at=Now(), given_up=True, file="")
        file.unlink(missing_ok=True)
        raise
    file.unlink(missing_ok=True)
    background.beat(job, done=imported.line, note=f"{imported.accepted:,} accepted")
    return summary_of(imported)


def _beating(rows: Iterable[tuple[int, Any]], job: Job) -> Iterator[tuple[int, Any]]:
    """`rows`; hears of a cancelled job also while all of them are past already."""
    for number, row in rows:
        if number % 5000 == 0:
            background.beat(job)
        yield number, row


def give_up_import(*, import_id: uuid.UUID, actor) -> Import:
    """End an import that was stopped, and delete its file; what came in stays. Conflict where it runs or is done."""
    with transaction.atomic(durable=True):
        imported = Import.objects.select_for_update(no_key=True).filter(pk=import_id).first()
        if imported is None:
            raise NotFound(_("There is no import with this id."))
        if imported.state != "stopped":
            raise Conflict(_("Only an import that was stopped on its way can be given up; cancel it first."))
        file, imported.file = imported.file, ""
        imported.given_up, imported.finished_at = True, Now()
        imported.save(update_fields=["file", "given_up", "finished_at"])
        audit.record(actor=actor, action="prompts.import_given_up", subject=imported, name=imported.name)
    if file:
        (uploads() / file).unlink(missing_ok=True)
    return get_import(import_id)


def resume_import(*, import_id: uuid.UUID, actor) -> Import:
    """Go on with an import that was stopped, by its job. Conflict where it is not stopped or its file is not here."""
    imported = get_import(import_id)
    if imported.state != "stopped" or imported.job is None or not _is_kept(imported):
        raise Conflict(_("This import cannot be gone on with from here; bring the same file again, and it goes on."))
    background.retry(job=imported.job, actor=actor)
    return get_import(import_id)
