from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from labeling import plots
from labeling.people.access import STAFF, only
from labeling.quality import queries
from labeling.quality.models import QualityReport
from labeling.quality.reports import KINDS
from labeling.quality.wording import TITLES, sentence

COLUMNS = (
    *("labeler", "group", "report", "count", "prompts", "value", "reference", "effect", "low", "high", "p", "marked"),
    "sentence",
)


@require_GET
@only(*STAFF)
def quality(request: HttpRequest) -> HttpResponse:
    """What needs a look, and one report about everybody. `?simulated=1` asks about simulated labelers instead."""
    simulated = asked_for_simulated(request)
    kind = queries.check_kind(request.GET.get("kind") or "place")
    run = queries.run_of(simulated=simulated)
    context = {
        "simulated": simulated,
        "run": run,
        "team": queries.team_reports(simulated=simulated),
        "page": queries.standings(simulated=simulated, after=request.GET.get("after")),
        "kinds": TITLES.items(),
        "kind": kind,
        "plot": plot_of(kind, simulated, str(run and run.read_at), get_language()),
    }
    return render(request, "quality/quality.html", context)


@require_GET
@only(*STAFF)
def quality_person(request: HttpRequest, user_id: int) -> HttpResponse:
    person = queries.get_labeler(user_id)
    found = queries.reports_of(person)
    counts = next(
        (tuple(said.report.detail["histogram"]) for said in found.reports if said.report.kind == "rating_spread"), ()
    )
    plot = ratings_of(counts, get_language()) if sum(counts) else None
    return render(request, "quality/person.html", {"person": person, "found": found, "plot": plot})


@require_GET
@only(*STAFF)
def quality_csv(request: HttpRequest) -> HttpResponse:
    """Every figure; `?labeler=` of one labeler, `?kind=` of one report."""
    simulated, labeler = asked_for_simulated(request), None
    if request.GET.get("labeler", "").isdecimal():
        labeler = queries.get_labeler(int(request.GET["labeler"]))
        simulated = labeler.is_simulated
    rows = queries.all_reports(simulated=simulated, labeler=labeler)
    if request.GET.get("kind"):
        rows = rows.filter(kind=queries.check_kind(request.GET["kind"]))
    return plots.csv_response(COLUMNS, _cells(rows.iterator(chunk_size=500)), name="quality")


def asked_for_simulated(request: HttpRequest) -> bool:
    return request.GET.get("simulated", "").lower() in ("1", "true", "yes")


def _cells(rows: Iterable[QualityReport]) -> Iterator[list]:
    for row in rows:
        yield [
            row.labeler.username if row.labeler else "",
            row.labeler.group if row.labeler else "",
            *(row.kind, row.count, row.prompts, row.value, row.reference, row.effect, row.low, row.high, row.p),
            "yes" if row.marked else "no",
            sentence(row),
        ]


# A drawing takes a tenth of a second, and is the same until the reports are made again.
@lru_cache(maxsize=64)
def plot_of(kind: str, simulated: bool, read_at: str, language: str) -> plots.Plot:
    """One report about everybody, with intervals."""
    rows = [row for row in queries.compared(kind, simulated=simulated) if row.effect is not None]
    unit = KINDS[kind].unit
    words = {
        "share": _("Difference, percentage points"),
        "points": _("Difference, points of the rating scale"),
        "times": _("Difference, logarithm of the ratio"),
    }
    scale = 100 if unit == "share" else 1
    return plots.intervals(
        str(TITLES[kind]),
        [(row.labeler.name, *(scale * number for number in (row.effect, row.low, row.high))) for row in rows],
        label=_("Labeler"),
        value=words[unit],
        reference=(_("no difference"), 0.0),
        more={
            _("Prompts"): [row.prompts for row in rows],
            _("Stands out"): [_("yes") if row.marked else _("no") for row in rows],
        },
    )


@lru_cache(maxsize=64)
def ratings_of(counts: tuple[int, ...], language: str) -> plots.Plot:
    """How often each rating was given, as shares."""
    total = sum(counts)
    return plots.bars(
        _("How the ratings are used"),
        [(str(rating), count / total) for rating, count in enumerate(counts, 1)],
        label=_("Rating"),
        value=_("Share"),
        percent=True,
    )
