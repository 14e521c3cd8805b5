"""`./manage.py verify_dataset DIR`: whether a data set is still what its manifest says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.exports.services import check_folder
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = "Check every file of a data set against its manifest; exit status 1 and a sentence for each that differs."
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, folder: Path, json: bool = False, **_: Any) -> None:
        try:
            problems = check_folder(folder)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        if json:
            self.stdout.write(dump({"folder": str(folder), "intact": not problems, "problems": problems}))
        elif not problems:
            self.stdout.write(f"{folder} is intact.")
        if problems:
            raise CommandError("\n".join(f"{folder}: {problem}" for problem in problems), returncode=1)


def dump(value: dict) -> str:
    return json.dumps(value)
