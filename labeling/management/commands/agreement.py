"""How often labelers agree."""

from __future__ import annotations

import json

from django.core.management.base import BaseCommand, CommandError

from labeling.agreement import brute_force, queries, reports
from labeling.refusals import Refusal
from labeling.sampling.services import get_batch

COUNTED_TWICE = 2000  # rankings up to which the slow count takes a moment alone


class Command(BaseCommand):
    help = (
        "How labelers who judged the same completions agree: the share of pairs ordered alike, ties at half, Kendall's "
        "tau-b, Krippendorff's alpha, correlation of ratings and kappa of flags, each with a 95 % interval and chance."
    )

    def add_arguments(self, parser) -> None:
        parser.add_argument("--batch", metavar="ID", help="only rankings of this batch")
        parser.add_argument("--group", default="", help="only labelers of this group")
        parser.add_argument("--simulated", action="store_true", help="simulated labelers too")
        parser.add_argument(
            "--check",
            action="store_true",
            help=f"count again, pair by pair, and fail where that differs; done anyway up to {COUNTED_TWICE} rankings",
        )
        parser.add_argument("--json", action="store_true", help="print only JSON")

    def handle(self, *, batch, group, simulated, check, json: bool = False, **_: object) -> None:
        try:
            asked = {"batch": get_batch(batch) if batch else None, "group": group, "simulated": simulated}
            found = queries.agreement(**asked)
        except Refusal as refusal:
            raise CommandError(refusal.message) from None
        slow = None
        if check or found["rankings"] <= COUNTED_TWICE:
            slow = found["brute_force"] = brute_force.count(queries.compared_rankings(**asked))
        self.stdout.write(dump(found) if json else "\n".join(in_words(found)))
        if slow and any(slow[name][key] != found[name][key] for name in slow for key in ("agree", "pairs")):
            raise CommandError("Counting pair by pair gives other figures; see brute_force.")


def in_words(found: dict):
    yield (
        f"{found['rankings']} rankings by {found['labelers']} labelers; "
        f"{found['tasks']} tasks were ranked by two or more."
    )
    for key, name, cut in reports.cuts(found):
        if not cut["tasks"]:
            continue
        yield f"{name} ({key}): {cut['tasks']} tasks"
        for statistic, figure in reports.figures_of(cut):
            value = reports.value_of(figure)
            if value is None:
                continue
            form = ".1%" if statistic in reports.SHARES else ".3f"
            low, high = figure["ci95"]
            interval = f", 95 % interval {low:{form}} to {high:{form}}" if low is not None else ""
            chance = f"; chance {figure['chance']:{form}}" if figure["chance"] is not None else ""
            yield f"  {reports.words()[statistic]}: {value:{form}} of {reports.count_of(figure)}{interval}{chance}"
    if "brute_force" in found:
        pairs = found["brute_force"]["pairwise"]
        yield f"Counted pair by pair: {pairs['agree']} of {pairs['pairs']} agree, ties left out."


def dump(value: dict) -> str:
    return json.dumps(value, indent=2)
