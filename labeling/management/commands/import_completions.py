"""`./manage.py import_completions FILE`: bring in completions that were written elsewhere, to be judged here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.forms.queries import form_named
from labeling.intake.reading import read_rows
from labeling.leasing.services import open_tasks
from labeling.people.models import User
from labeling.refusals import Refusal
from labeling.sampling.importing import import_completions
from labeling.sampling.models import Batch


class Command(BaseCommand):
    help = (
        "Import completions from a JSONL file (also .gz) into a batch and open its tasks. A line has `prompt` or "
        "`messages`, and `completions`: an object system → text, or a list of {text, model}. Prints one JSON object: "
        "what went in, what was there already, what was rejected and why. The options describe a new batch."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--name", metavar="BATCH", help="the batch to bring them into; default: the file's name")
        parser.add_argument("--source", help="where they come from; default: the batch's name")
        parser.add_argument("--form", help="what is asked, by the form's name; default: instructgpt")
        parser.add_argument("--overlap", type=int, default=1, help="labelers for each task")
        parser.add_argument("--groups", nargs="+", default=[User.Group.TRAINING.value], metavar="GROUP")
        parser.add_argument("--evaluation", action="store_true", help="compare their writers; never trained on")
        parser.add_argument("--serve-named", action="store_true", help="also completions that name a model, unseen")
        parser.add_argument("--json", action="store_true", help="accepted for likeness; the output is always JSON")

    def handle(self, *, file: Path, name: str | None, source: str | None, form: str | None, **options: Any) -> None:
        if not file.is_file():
            raise CommandError(f"There is no file {str(file)!r}; name a file of completions.", returncode=2)
        if not file.name.lower().removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
            raise CommandError(f"{file.name} is not a JSONL file; completions come a prompt a line.", returncode=2)
        name = name or file.name.split(".")[0]
        try:
            imported = import_completions(
                rows=read_rows(file),
                name=name,
                source=source or name,
                form=form_named(form) if form else None,
                overlap=options["overlap"],
                groups=options["groups"],
                evaluation=options["evaluation"],
                hold_named=not options["serve_named"],
            )
            batch = Batch.objects.get(name=name)
            open_tasks(batch=batch)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        self.stdout.write(json.dumps({**imported.as_dict(), "tasks": batch.tasks.count()}))
        if not (imported.groups or imported.unchanged):
            raise CommandError(f"No line of {file.name} could be read as completions.", returncode=1)
