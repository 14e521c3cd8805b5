"""`./manage.py import_prompts FILE`: bring prompts in from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.governance.importing import import_file
from labeling.governance.services import summary_of
from labeling.intake.reading import Problem, UnknownFormat
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = (
        "Import prompts from a JSONL, CSV, TSV or Parquet file, also as .gz or .zst. Each line has `prompt` or "
        "`messages`, and may have user_id, source, external_id, consent, use_case and categories. Killed, it goes on "
        "where it was when it is given the same file again. Prints one JSON object: accepted, rejected by reason, and "
        "the first lines that did not go in."
    )
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--source", default="", help="the source of lines that name none")
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, file: Path, source: str, **_: Any) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of prompts.", returncode=2)
        seen = Seen()
        try:
            imported = import_file(file=file, source=source, watch=seen.watch)
        except UnknownFormat as refusal:
            raise CommandError(refusal.message, returncode=2) from None
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps(summary_of(imported)))
        if not (seen.readable or imported.accepted):
            raise CommandError(f"Nothing in {file.name} could be read as a prompt.", returncode=1)


class Seen:
    """Whether any of the rows could be read at all."""

    readable = False

    def watch(self, rows: Iterable) -> Iterator:
        for line, row in rows:
            self.readable = self.readable or not isinstance(row, Problem)
            yield line, row
