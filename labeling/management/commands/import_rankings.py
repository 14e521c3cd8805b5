"""`./manage.py import_rankings FILE`: bring in rankings that people made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.intake.reading import read_rows
from labeling.people.models import User
from labeling.rankings.imports import GROUPS, import_rankings
from labeling.rankings.shapes import SHAPES, read_shaped
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = (
        "Import groups of completions with ranks from a JSONL file (also .gz). A line has `prompt` or `messages`, and "
        "`completions`: a list of {text, rank}, or an object system → text beside `rankings`, a list of {labeler, "
        "ranks}. With --shape the file is another tool's, as it came: JSONL, one JSON array, or Parquet. Prints one "
        "JSON object: what went in, what was there already, what was rejected and why."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--name", metavar="BATCH", help="the batch to bring them into; default: the file's name")
        parser.add_argument("--source", help="where they come from; default: the batch's name")
        parser.add_argument(
            "--shape",
            choices=list(SHAPES),
            help="; ".join(f"{name}: {shape.about}" for name, shape in SHAPES.items()),
        )
        parser.add_argument(
            "--group",
            choices=[str(group) for group in GROUPS],
            help="the labeler group of those who ranked; default: training, and simulated where a model did",
        )
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(
        self,
        *,
        file: Path,
        name: str | None,
        source: str | None,
        group: str | None = None,
        shape: str | None = None,
        **_: Any,
    ) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of rankings.", returncode=2)
        endings = (".jsonl", ".ndjson", ".json", *((".parquet",) if shape else ()))
        if not file.name.lower().removesuffix(".gz").endswith(endings):
            raise CommandError(f"{file.name} is none of {', '.join(endings)}, as rankings come.", returncode=2)
        name = name or file.name.split(".")[0]
        group = group or str(SHAPES[shape].group if shape else User.Group.TRAINING)
        try:
            rows = read_shaped(file, SHAPES[shape]) if shape else read_rows(file)
            imported = import_rankings(rows=rows, name=name, source=source or name, group=group)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps(imported.as_dict()))
        if not (imported.groups or imported.unchanged):
            raise CommandError(f"No line of {file.name} could be read as a ranking.", returncode=1)
