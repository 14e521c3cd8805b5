"""InstructGPT's tables, from the samples released with the paper."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling.management.paper import BadTable, paper_tables


class Command(BaseCommand):
    help = "Toxicity, TruthfulQA, BLEU and ROUGE-L by model, from the four instructgpt_…_samples.csv.gz files in DIR."
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, folder: Path, json: bool, **_: object) -> None:
        if not folder.is_dir():
            raise CommandError(f"There is no folder {folder}; name the one with the released samples.", returncode=2)
        try:
            tables = paper_tables(folder)
        except BadTable as error:
            raise CommandError(str(error)) from None
        if json:
            self.stdout.write(json_module.dumps(tables, indent=2))
            return
        for name, rows in tables.items():
            columns = list(rows[0])
            cells = [columns] + [[shown(row[column]) for column in columns] for row in rows]
            widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
            self.stdout.write(f"\n{name.replace('_', ' ')}")
            for line in cells:
                self.stdout.write(
                    "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                )


def shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)
