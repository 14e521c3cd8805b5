"""A model from outside, in the registry."""

from __future__ import annotations

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from labeling.pipeline.services import register_base
from labeling.refusals import Refusal


class Command(BaseCommand):
    help = "Register a policy in the Hugging Face layout as a model that runs can start from. Can be run again."

    def add_arguments(self, parser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER")
        parser.add_argument(
            "--name", required=True, help="its name for ever: letters, digits, dots, dashes, underscores"
        )

    def handle(self, *, folder: Path, name: str, **_: object) -> None:
        try:
            checkpoint = register_base(folder=folder, name=name)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        self.stdout.write(f"{checkpoint.name}: {checkpoint.folder}, weights {checkpoint.weights_sha256[:16]}…")
