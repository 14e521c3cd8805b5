"""The whole loop without a browser."""

from __future__ import annotations

import json as json_module
import logging
import signal
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from labeling.management.loop import LoopFailed, run_loop, table


class Command(BaseCommand):
    help = (
        "Import, sample, rank, export, train SFT, reward model and PPO-ptx, publish, evaluate, sample again; then a "
        "table of figures. Simulated labelers rank, or with --data people did. Can be run again and again."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--data", type=Path, metavar="FILE", help="human rankings, as import_rankings reads them")
        parser.add_argument("--model", type=Path, metavar="DIR", help="model folder to begin with instead of SmolLM2")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, data: Path | None, model: Path | None, json: bool, verbosity: int, **_: object) -> None:
        if data is not None and not data.is_file():
            raise CommandError(f"There is no file {data}; name a file of rankings.", returncode=2)
        say = self.stderr.write if json else self.stdout.write
        if verbosity < 2:
            # Every request of every simulated labeler is a line; what goes wrong still is one.
            logging.getLogger().setLevel(logging.WARNING)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            call_command("migrate", interactive=False, verbosity=0)
            figures = run_loop(say=say, data=data and data.resolve(), model=model)
        except LoopFailed as failed:
            raise CommandError(str(failed)) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. What was made so far is kept; another loop begins anew.", returncode=130
            ) from None
        finally:
            signal.signal(signal.SIGTERM, before)
        self.stdout.write(json_module.dumps(figures, indent=2) if json else "\n" + table(figures))
