"""Simulated labelers whose faults are known, and whether the reports find them."""

from __future__ import annotations

import json as json_module

from django.core.management.base import BaseCommand, CommandError

from labeling.quality.models import QualityReport, QualityStanding
from labeling.quality.services import compute
from labeling.refusals import Refusal
from labeling.simulation.bulk import store_population
from labeling.simulation.checking import check_reports


class Command(BaseCommand):
    help = (
        "Store rankings of forty simulated labelers whose skill, biases and honesty are known, make the quality "
        "reports, and say how well they tell. All of it is marked simulated; /quality/?simulated=1 shows it."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--rankings", type=int, default=20_000, metavar="N", help="how many (20000)")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, other labelers and answers")
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, rankings: int, seed: int, json: bool, **_: object) -> None:
        try:
            batch, people = store_population(rankings=rankings, seed=seed)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        run = compute(simulated=True)
        if run is None:
            raise CommandError("The reports are being made by another process; see /quality/?simulated=1 in a minute.")
        reports = QualityReport.objects.filter(simulated=True, labeler__isnull=False).select_related("labeler")
        standings = QualityStanding.objects.filter(simulated=True).select_related("labeler")
        result = {
            "batch": batch.pk,
            "rankings": run.rankings,
            "simulated": True,
            "seconds": round(run.seconds, 2),
            **check_reports(people, reports, standings).as_json(),
        }
        if json:
            self.stdout.write(json_module.dumps(result))
            return
        for name, value in result.items():
            self.stdout.write(f"  {name}: {value}")
