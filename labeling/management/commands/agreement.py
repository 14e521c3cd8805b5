"""How often labelers agree."""

from __future__ import annotations

import json

from django.core.management.base import BaseCommand, CommandError

from labeling.agreement import queries
from labeling.refusals import Refusal
from labeling.sampling.services import get_batch


class Command(BaseCommand):
    help = "How often two labelers who ranked the same completions put the same one first, with a 95 % interval."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--batch", metavar="ID", help="only rankings of this batch")
        parser.add_argument("--group", default="", help="only labelers of this group")
        parser.add_argument("--simulated", action="store_true", help="simulated labelers too")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, batch, group, simulated, json: bool = False, **_: object) -> None:
        try:
            found = queries.agreement(batch=get_batch(batch) if batch else None, group=group, simulated=simulated)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        if json:
            self.stdout.write(dump(found))
            return
        self.stdout.write(f"{found['rankings']} rankings by {found['labelers']} labelers; ", ending="")
        self.stdout.write(f"{found['tasks']} tasks were ranked by two or more.")
        for label, key in (("ties left out", "pairwise"), ("a tie counts half", "ties_half")):
            share = found[key]
            if share["rate"] is None:
                self.stdout.write(f"  {label}: nothing to compare")
                continue
            low, high = share["ci95"]
            interval = f", 95 % interval {low:.1%} to {high:.1%}" if low is not None else ""
            self.stdout.write(f"  {label}: {share['rate']:.1%} of {share['pairs']} pairs{interval}")


def dump(value: dict) -> str:
    return json.dumps(value, indent=2)
