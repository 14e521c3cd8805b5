"""How well the bias reports tell what is planted, over many simulated teams, and how long they take.

Forty labelers of known skill, bias of place and of length, two spammers; 20,000 rankings a seed, none of it stored.
With --pages the reports of 40 labelers and 100,000 rankings in a database, and how fast their page opens.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter

import numpy as np

from bench.stack import settle, stack
from labeling.agreement.pairs import Judged, Layout, tables_of
from labeling.agreement.statistics import figures as figures_of
from labeling.agreement.sums import Sums
from labeling.quality.reports import Rankings, report
from labeling.simulation.checking import check
from labeling.simulation.population import OVERLAP, K, draw, population

TASKS = 5_000
TRUTH_TASKS = 400_000  # in which the true agreement is counted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--pages", action="store_true", help="time the pages instead, in a database of their own")
    parser.add_argument("--rankings", type=int, default=100_000, help="of --pages")
    given = parser.parse_args()
    if given.pages:
        with stack(redis=False):
            pages(given.rankings)
    else:
        planted(given.seeds)


def say(figure: str, value: float, unit: str, **more: object) -> None:
    print(json.dumps({"benchmark": "quality", "figure": figure, "value": value, "unit": unit, **more}), flush=True)


def planted(seeds: int) -> None:
    """The population stays, its answers are drawn anew for each seed."""
    people = population(0)
    truth = true_agreement(people)
    checks, covered, seconds, agreed = [], Counter(), 0.0, 0
    for seed in range(seeds):
        drawn = draw(people, seed, tasks=TASKS)
        started = time.perf_counter()
        found = report(drawn)
        seconds += time.perf_counter() - started
        figures = {(each.labeler, each.kind): each for each in found.findings}
        checks.append(check(people, figures, [each.labeler for each in found.verdicts if each.spam]))
        for number in range(38):
            for kind, planted_there in (("place", people.place), ("length", people.length)):
                value = 0.5 * np.tanh(0.5 * planted_there[number])
                each = figures[number, kind]
                covered[kind, number] += each.low <= value <= each.high
        low, high = agreement(drawn)["ci95"]
        agreed += low <= truth <= high
    many = {"seeds": seeds, "rankings": TASKS * OVERLAP}
    spearmans = [each.spearman for each in checks]
    say("Spearman of reported and true skill, lowest", round(min(spearmans), 4), "1", **many)
    say("Spearman of reported and true skill, mean", round(float(np.mean(spearmans)), 4), "1", **many)
    say("seeds in which both spammers are found", sum(each.spammers_found == 2 for each in checks), "seeds", **many)
    say("labelers called spammers by mistake", sum(each.false_alarms for each in checks), "in all seeds", **many)
    for kind in ("place", "length"):
        shares = [count / seeds for (each, _), count in covered.items() if each == kind]
        say(
            f"planted {kind}: within its interval",
            round(float(np.mean(shares)), 4),
            "share of labelers and seeds",
            **many,
        )
        say(f"planted {kind}: the labeler least often within", min(shares), "share of seeds", **many)
    say("all 76 planted at once within intervals for 76", sum(each.all_within for each in checks), "seeds", **many)
    say("true agreement within its 95 % interval", agreed / seeds, "share of seeds", truth=round(truth, 5), **many)
    say("all reports of 20,000 rankings", round(seconds / seeds, 2), "s", **many)


def agreement(drawn: Rankings) -> dict:
    """What the page on agreement would say of these rankings: {"rate", "ci95", …}."""
    ranks = drawn.rank.reshape(-1, OVERLAP, K).astype(int)
    tasks = np.arange(len(ranks))
    nothing, each = np.zeros(ranks.shape, np.int64), np.zeros(ranks.shape[:2], np.int64)
    layout = Layout(ranks=K)
    sums = Sums(1, layout.width)
    judged = Judged(
        ranks=ranks,
        ratings=nothing,
        flags=nothing,
        asked=each,
        prompt_flags=each,
        prompt_asked=each,
        judged=nothing == 0,
        groups=each,
        labelers=drawn.labeler.reshape(-1, OVERLAP),
        weeks=each,
        tasks=tasks,
        prompts=tasks,
        use_cases=np.zeros(len(tasks), int),
    )
    for table in tables_of(judged, layout):
        sums.add(table, np.zeros(len(table.task), np.int64))
    return figures_of(sums, 0, alike=True)["pairwise"]


def true_agreement(people) -> float:
    """Counted over so many tasks that its own error is a ninth of one seed's."""
    agree = pairs = 0
    i, j = np.triu_indices(K, 1)
    for part in range(TRUTH_TASKS // TASKS):
        ranks = draw(people, 1_000_000 + part, tasks=TASKS).rank.reshape(-1, OVERLAP, K)
        signs = np.sign(ranks[:, :, i] - ranks[:, :, j])
        for one in range(OVERLAP):
            for other in range(one):
                product = signs[:, one] * signs[:, other]
                agree += int((product > 0).sum())
                pairs += int((product != 0).sum())
    return agree / pairs


def pages(rankings: int) -> None:
    from django.test import Client

    from labeling.people.models import User
    from labeling.quality.services import compute
    from labeling.simulation.bulk import store_population

    started = time.perf_counter()
    store_population(rankings=rankings)
    say("stored", round(rankings / (time.perf_counter() - started)), "rankings a second", rankings=rankings)
    settle()
    say("reports made, completions counted", round(compute(simulated=True).seconds, 2), "s", rankings=rankings)
    say("reports made again", round(compute(simulated=True).seconds, 2), "s", rankings=rankings)
    client = Client(HTTP_HOST="127.0.0.1")
    client.force_login(User.objects.create_user("rita", password=None, role="researcher", group="researcher"))
    labeler = User.objects.get(username="sim-known-38")
    for name, address in (("all labelers", "/quality/?simulated=1"), ("one labeler", f"/quality/{labeler.pk}/")):
        times = []
        for _ in range(6):
            started = time.perf_counter()
            assert client.get(address).status_code == 200
            times.append(time.perf_counter() - started)
        say(f"page of {name}, first", round(1000 * times[0]), "ms", rankings=rankings)
        say(f"page of {name}, then", round(1000 * sorted(times[1:])[2]), "ms", rankings=rankings)


if __name__ == "__main__":
    main()
