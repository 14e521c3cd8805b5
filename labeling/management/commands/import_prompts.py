"""`./manage.py import_prompts FILE`: bring prompts in from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.governance.services import import_prompts, summary_of
from labeling.intake.reading import Problem, UnknownFormat, Unreadable, read_rows


class Command(BaseCommand):
    help = (
        "Import prompts from a JSONL, CSV, TSV or Parquet file (text formats also as .gz). Each line has `prompt` or "
        "`messages`, and may have user_id, source, external_id, consent, use_case and categories. Prints one JSON "
        "object: accepted, rejected by reason, and the first lines that did not go in."
    )
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--source", default="", help="the source of lines that name none")
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, file: Path, source: str, **_: Any) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of prompts.", returncode=2)
        seen = Seen(source_rows=read_or_explain(file))
        try:
            imported = import_prompts(rows=seen, name=file.name, source=source)
        except Unreadable as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps(summary_of(imported)))
        if not seen.readable:
            raise CommandError(f"Nothing in {file.name} could be read as a prompt.", returncode=1)


class Seen:
    """The rows, and whether any of them could be read at all."""

    def __init__(self, *, source_rows: Iterator) -> None:
        self.rows, self.readable = source_rows, False

    def __iter__(self) -> Iterator:
        for line, row in self.rows:
            self.readable = self.readable or not isinstance(row, Problem)
            yield line, row


def read_or_explain(file: Path) -> Iterator:
    """The rows of `file`; exits with 2 for a kind of file that nothing reads."""
    try:
        return read_rows(file)
    except UnknownFormat as refusal:
        raise CommandError(refusal.message, returncode=2) from None
