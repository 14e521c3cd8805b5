"""Simulated labelers at work, for load and demos."""

from __future__ import annotations

import json as json_module
import logging
from contextlib import nullcontext

from django.core.management.base import BaseCommand, CommandError

from labeling.refusals import Refusal
from labeling.simulation import services

RUNNING = "http://127.0.0.1:8000"


class Command(BaseCommand):
    help = (
        "Let simulated labelers rank what waits, over the public HTTP API. They judge by a fixed, noisy rule; all they "
        "make is marked simulated and left out of exports unless asked for. Open batches to the group simulated first."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--labelers", type=int, default=40, metavar="N", help="how many work at once (40)")
        parser.add_argument("--tasks", type=int, required=True, metavar="N", help="answers after which they stop")
        parser.add_argument("--url", help=f"a running Kwise; else {RUNNING}, and where none answers one of its own")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, labelers: int, tasks: int, url: str | None, json: bool, verbosity: int, **_: object) -> None:
        if url and not services.answers(url):
            raise CommandError(f"No Kwise answers at {url}; start one, or leave --url out.")
        if verbosity < 2:
            logging.getLogger().setLevel(logging.WARNING)  # a line for every request would hide the result
        found = url or (RUNNING if services.answers(RUNNING) else None)
        try:
            with nullcontext(found) if found else services.own_web() as address:
                work = services.simulate(url=address, labelers=labelers, tasks=tasks)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        except RuntimeError as error:
            raise CommandError(f"A simulated labeler could not go on: {error}") from None
        result = {"labelers": labelers, "url": address, "simulated": True, **work.as_json()}
        if json:
            self.stdout.write(json_module.dumps(result))
            return
        self.stdout.write(
            f"{labelers} simulated labelers ranked {work.submitted} tasks in {work.seconds:.1f} s "
            f"({result['per_second'] or 0} a second) over {address}."
        )
        if work.submitted < tasks:
            self.stdout.write("Nothing more waits for the group simulated; open a batch to it.")
        for problem, count in work.problems.items():
            self.stdout.write(f"  {problem}: {count} times")
