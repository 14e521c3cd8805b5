"""What looking found, arm beside arm: as a report, kept ready for the page and drawn in each language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from django.db.models import Max
from django.utils.translation import gettext as _

from labeling import plots
from labeling.label_errors import queries
from labeling.label_errors.models import ErrorVerdict
from labeling.label_errors.statistics import compare, share_interval
from labeling.people.queries import team_settings
from labeling.plots import Plot
from labeling.reports.services import Kind, Shown, ask, report_kind

KIND = "label_errors"
SMALL = 300  # verdicts that a request may count itself: a fraction of a second
ARMS = ("suspicious", "random")
MOST_WEEKS = 53


def found_report(*, simulated: bool = False) -> Shown:
    """What was found per hundred looked at in either arm, at most a minute behind."""
    return ask(KIND, {"simulated": simulated})


def make(arguments: dict) -> dict:
    zone = ZoneInfo(team_settings().time_zone)
    cuts: dict[str, list] = defaultdict(list)
    changed = 0
    for prompt, model, judged_at, *arms, verdict, revision in queries.looked_at(simulated=arguments["simulated"]):
        day = judged_at.astimezone(zone).date()
        monday = day - timedelta(days=day.weekday())
        row = (prompt, *arms, verdict)
        changed += revision > 1
        for key in ("all", f"model:{model or ''}", f"week:{monday.isoformat()}"):
            cuts[key].append(row)
    weeks = sorted(key for key in cuts if key.startswith("week:"))
    models = sorted(key for key in cuts if key.startswith("model:"))
    kept = ["all", *models, *weeks[-MOST_WEEKS:]]
    return {
        "simulated": arguments["simulated"],
        "changed": changed,
        "cuts": [{"key": key, **cut_of(cuts[key])} for key in kept],
    }


def cut_of(rows: list[tuple]) -> dict[str, Any]:
    """The figures of one cut, out of (prompt, suspicious, random, verdict). Shares are of 1, not of a hundred."""
    counts: dict[Any, np.ndarray] = defaultdict(lambda: np.zeros(4))
    unclear = dict.fromkeys(ARMS, 0)
    for prompt, *arms, verdict in rows:
        for side, inside in enumerate(arms):
            if inside:
                counts[prompt][2 * side : 2 * side + 2] += (verdict == ErrorVerdict.Verdict.ERROR, 1)
                unclear[ARMS[side]] += verdict == ErrorVerdict.Verdict.UNCLEAR
    by_prompt = np.array(list(counts.values())).reshape(-1, 4)  # (N, 4)
    cut: dict[str, Any] = {}
    for side, arm in enumerate(ARMS):
        found, looked = by_prompt[:, 2 * side], by_prompt[:, 2 * side + 1]
        total = int(looked.sum())
        cut[arm] = {
            "looked_at": total,
            "found": int(found.sum()),
            "unclear": unclear[arm],
            "rate": float(found.sum() / total) if total else None,
            "ci95": list(share_interval(found, looked) or (None, None)),
        }
    return cut | asdict(compare(by_prompt))


def changed():
    return ErrorVerdict.objects.aggregate(last=Max("created_at"))["last"]


def is_small(_arguments: dict) -> bool:
    return ErrorVerdict.objects.all()[: SMALL + 1].count() <= SMALL


def arm_words() -> dict[str, str]:
    return {"suspicious": _("Suspicious"), "random": _("At random")}


def cut_names(content: dict) -> Iterator[tuple[str, dict]]:
    """Every cut that is no week, with its name in the reader's language."""
    for cut in content["cuts"]:
        kind, _colon, name = cut["key"].partition(":")
        if kind == "all":
            yield _("all"), cut
        elif kind == "model":
            yield name or _("no reward model"), cut


def draw(content: dict) -> dict[str, Plot]:
    words = arm_words()
    entries = [
        (name, words[arm], cut[arm]) for name, cut in cut_names(content) for arm in ARMS if cut[arm]["looked_at"]
    ]
    weeks = [cut for cut in content["cuts"] if cut["key"].startswith("week:")]
    return {
        "arms": plots.intervals(
            _("Errors found among those looked at"),
            [(f"{arm}: {name}", of["rate"], *of["ci95"]) for name, arm, of in entries],
            label=_("Arm"),
            value=_("Errors found"),
            more={
                _("Looked at"): [of["looked_at"] for _name, _arm, of in entries],
                _("Errors"): [of["found"] for _name, _arm, of in entries],
                _("Unclear"): [of["unclear"] for _name, _arm, of in entries],
            },
            limits=(0, None),
            percent=True,
        ),
        "weeks": plots.line(
            _("Errors found by week"),
            {
                words[arm]: [
                    (date.fromisoformat(cut["key"].removeprefix("week:")), cut[arm]["rate"], *cut[arm]["ci95"])
                    for cut in weeks
                    if cut[arm]["rate"] is not None
                ]
                for arm in ARMS
            },
            x=_("Week from"),
            y=_("Errors found"),
            limits=(0, None),
            percent=True,
        ),
    }


COLUMNS = (
    *("cut", "arm", "looked_at", "found", "unclear", "per_hundred", "ci95_low", "ci95_high"),
    *("difference", "difference_low", "difference_high", "ratio", "ratio_low", "ratio_high"),
)


def csv_rows(content: dict) -> Iterator[list]:
    """COLUMNS of every cut and arm; what compares the arms stands beside the suspicious one. Rates are per hundred."""
    for cut in content["cuts"]:
        for arm in ARMS:
            of = cut[arm]
            bounds = [None if end is None else 100 * end for end in of["ci95"]]
            rate = None if of["rate"] is None else 100 * of["rate"]
            row = [cut["key"], arm, of["looked_at"], of["found"], of["unclear"], rate, *bounds]
            if arm == "suspicious":
                per_hundred = [cut["difference"], *(cut["difference_ci95"] or (None, None))]
                row += [None if value is None else 100 * value for value in per_hundred]
                row += [cut["ratio"], *(cut["ratio_ci95"] or (None, None))]
            yield row + [None] * (len(COLUMNS) - len(row))


report_kind(KIND, Kind(make=make, draw=draw, changed=changed, is_small=is_small))
