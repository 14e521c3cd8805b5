"""`./manage.py export KIND --split S --out DIR`: make an immutable data set."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.exports.models import Dataset
from labeling.exports.question import CHOICES, EVALUATION, TRAINING
from labeling.exports.services import create_dataset
from labeling.intake.models import Split
from labeling.refusals import Refusal
from training.formats import FORMATS


class Command(BaseCommand):
    help = (
        "Export demonstrations, comparisons, prompts, ratings or evaluations as an immutable data set, and print its "
        "content hash. The same question asked of the same data gives the same bytes and the same hash."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("kind", choices=Dataset.Kind.values)
        parser.add_argument("--split", action="append", choices=[*Split.values, "all"], default=[], help="repeat; all")
        parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder; else under KWISE_HOME alone")
        parser.add_argument("--source", action="append", default=[], help="only prompts of this source; repeat")
        parser.add_argument("--use-case", action="append", default=[], help="only prompts of this use case; repeat")
        parser.add_argument("--batch", action="append", default=[], help="only this batch; repeat")
        parser.add_argument("--group", action="append", default=[], help="only this labeler group; repeat")
        parser.add_argument("--origin", action="append", default=[], help="only workbench, import or simulated; repeat")
        parser.add_argument("--form", action="append", default=[], help="rankings of this form, or form/3; repeat")
        parser.add_argument(
            "--format", action="append", choices=FORMATS["comparisons"], default=[], help="beside the rows; repeat"
        )
        parser.add_argument("--since", metavar="TIME", help="what came at this time or later")
        parser.add_argument(
            "--agreement", type=float, help="tasks whose labelers order this share of pairs alike, 0 to 1"
        )
        parser.add_argument("--ties", choices=CHOICES["ties"], help="strict: no rankings with ties")
        parser.add_argument("--all-bad", choices=CHOICES["all_bad"], help="rankings that call all bad, as ties of all")
        parser.add_argument("--until", metavar="TIME", help="what was there at this time, ISO 8601 with an offset")
        parser.add_argument("--include-simulated", action="store_true", help="simulated labelers' answers too")
        parser.add_argument("--leave-out-errors", action="store_true", help="no rankings with an error that was found")
        parser.add_argument(
            "--include-probation", action="store_true", help="answers of labelers whose probation is not passed, too"
        )
        parser.add_argument("--purpose", choices=[TRAINING, EVALUATION], help="evaluation: its batches, and no others")
        parser.add_argument(
            "--consensus", choices=CHOICES["consensus"], help="comparisons: an order of all answers beside each"
        )
        parser.add_argument(
            "--answers", choices=CHOICES["answers"], help="comparisons: what becomes of tasks that were adjudicated"
        )
        parser.add_argument("--name", default="", help="what the page of data sets calls it")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, kind: str, out: Path | None, name: str, **options: Any) -> None:
        question = {
            "splits": [] if "all" in options["split"] else options["split"],
            "sources": options["source"],
            "use_cases": options["use_case"],
            "batches": options["batch"],
            "groups": options["group"],
            "origins": options["origin"],
            "forms": options["form"],
            "formats": options["format"],
            "since": options["since"],
            "until": options["until"],
            "agreement": options["agreement"],
            "ties": options["ties"],
            "all_bad": options["all_bad"],
            "include_simulated": options["include_simulated"],
            "include_probation": options["include_probation"],
            "leave_out_errors": options["leave_out_errors"],
            "purpose": options["purpose"],
            "consensus": options["consensus"],
            "answers": options["answers"],
        }
        try:
            dataset = create_dataset(kind=kind, question=question, out=out, name=name)
        except Refusal as refusal:
            raise CommandError(refusal.message, returncode=1) from None
        manifest = dataset.manifest
        if not manifest["counts"]["rows"]:
            print("Nothing matched: the data set is empty.", file=sys.stderr)
        if manifest["exclusions"]:
            left_out = ", ".join(f"{count} {reason}" for reason, count in manifest["exclusions"].items())
            print(f"Left out: {left_out}.", file=sys.stderr)
        if not options["json"]:
            self.stdout.write(dataset.content_hash)
            return
        shown = {key: manifest[key] for key in ("content_hash", "kind", "question", "counts", "exclusions", "files")}
        folder = out.absolute() if out else dataset.folder
        self.stdout.write(json.dumps({"id": str(dataset.pk), "folder": str(folder), **shown}))
