"""`./manage.py import_rankings FILE`: bring in rankings that people made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.intake.reading import read_rows
from labeling.people.models import User
from labeling.rankings.imports import GROUPS, import_rankings
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = (
        "Import groups of completions with ranks from a JSONL file (also .gz). A line has `prompt` or `messages`, and "
        "`completions`: a list of {text, rank}, or an object system → text beside `rankings`, a list of {labeler, "
        "ranks}. Prints one JSON object: what went in, what was there already, what was rejected and why."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--name", metavar="BATCH", help="the batch to bring them into; default: the file's name")
        parser.add_argument("--source", help="where they come from; default: the batch's name")
        parser.add_argument("--group", choices=[str(group) for group in GROUPS], default=str(User.Group.TRAINING))
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, file: Path, name: str | None, source: str | None, group: str, **_: Any) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of rankings.", returncode=2)
        if not file.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
            raise CommandError(f"{file.name} is not a JSONL file; rankings come one JSON object a line.", returncode=2)
        name = name or file.name.split(".")[0]
        try:
            imported = import_rankings(rows=read_rows(file), name=name, source=source or name, group=group)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps(imported.as_dict()))
        if not (imported.groups or imported.unchanged):
            raise CommandError(f"No line of {file.name} could be read as a ranking.", returncode=1)
