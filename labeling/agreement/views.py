from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from labeling.agreement import reports
from labeling.people.access import STAFF, only
from labeling.people.queries import has_simulated
from labeling.plots import csv_response
from labeling.refusals import NotFound, TryLater
from labeling.sampling.services import get_batch
from labeling.wording import in_words


def asked(request: HttpRequest) -> dict:
    """What the address asks for: a batch, a labeler group, simulated labelers too."""
    batch = get_batch(request.GET["batch"]) if request.GET.get("batch") else None
    simulated = request.GET.get("simulated", "").lower() in ("1", "true", "yes")
    return {"batch": batch, "group": request.GET.get("group", ""), "simulated": simulated}


@require_GET
@only(*STAFF)
def agreement(request: HttpRequest) -> HttpResponse:
    question = asked(request)
    report = reports.agreement_report(**question)
    context = {**question, "report": report, "query": request.GET.urlencode()}
    if programs_too := has_simulated():
        other = request.GET.copy()
        other["simulated"] = "" if question["simulated"] else "1"
        context["other"] = other.urlencode()
    if not report.waiting:
        rows = [reports.row_of(name, cut) for key, name, cut in reports.cuts(report.content) if is_in_table(key, cut)]
        if not (question["simulated"] or question["group"]) and programs_too:
            programs = reports.agreement_report(batch=question["batch"], group="simulated").content
            if programs and programs["rankings"]:
                name = _("Within the group {group}").format(group=in_words("simulated"))
                rows.append(reports.row_of(name, programs) | {"programs": True})
        context |= {"overall": report.content, "rows": rows, "measures": reports.words().values()}
    name = "agreement/_agreement_live.html" if request.htmx else "agreement/agreement.html"
    return render(request, name, context)


def is_in_table(key: str, cut: dict) -> bool:
    """Weeks are not: the drawing and the file have them."""
    return bool(cut["tasks"]) and not key.startswith("week:")


@require_GET
@only(*STAFF)
def agreement_csv(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """The rows of one plot, or of all figures in all cuts."""
    report = reports.agreement_report(**asked(request))
    if report.waiting:
        raise TryLater(_("These figures are being computed; ask again in a few seconds."))
    if name == "all":
        rows = (
            [key, statistic, reports.value_of(figure), *figure["ci95"], figure["chance"], reports.count_of(figure)]
            for key, _name, cut in reports.cuts(report.content)
            for statistic, figure in [*reports.figures_of(cut), *flag_figures(cut)]
        )
        columns = ["cut", "statistic", "value", "ci95_low", "ci95_high", "chance", "count"]
        return csv_response(columns, rows, name="agreement")
    if name not in report.plots:
        raise NotFound(_("There is no plot {name!r} here.").format(name=name[:40]))
    plot = report.plots[name]
    return csv_response(plot.columns, plot.rows, name=f"agreement-{name}")


def flag_figures(cut: dict) -> list[tuple[str, dict]]:
    return [(f"kappa:{name}", figure) for name, figure in cut["flags"]["by_flag"].items()]
