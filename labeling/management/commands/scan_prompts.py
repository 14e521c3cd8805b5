"""`./manage.py scan_prompts FILE`: what the personal-data filter finds in each line; nothing is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.governance.services import scan_rows
from labeling.intake.reading import UnknownFormat, Unreadable, read_rows


class Command(BaseCommand):
    help = (
        "Scan a file of prompts for personal data and store nothing. Prints one JSON object per line of the file: "
        "external_id and findings with start, end (characters, end exclusive), kind and score (0 to 1)."
    )
    requires_system_checks = []

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, file: Path, **_: Any) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of prompts.", returncode=2)
        try:
            for found in scan_rows(read_rows(file)):
                self.stdout.write(json.dumps(found))
        except UnknownFormat as refusal:
            raise CommandError(refusal.message, returncode=2) from None
        except Unreadable as refusal:
            raise CommandError(refusal.message, returncode=1) from None
