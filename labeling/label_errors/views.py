"""The search for label errors: what was found, what to draw, and one answer at a time to look at."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.label_errors import forms, queries, reports, services
from labeling.label_errors.models import ErrorVerdict
from labeling.leasing.answers import form_number
from labeling.people.access import LABELERS, STAFF, only
from labeling.people.queries import has_simulated
from labeling.plots import csv_response
from labeling.refusals import Conflict, NotFound, Refusal, TryLater


def asked_for_simulated(request: HttpRequest) -> bool:
    return request.GET.get("simulated", "").lower() in ("1", "true", "yes")


@require_GET
@only(*STAFF)
def label_errors(request: HttpRequest) -> HttpResponse:
    """What was found per hundred looked at. `?simulated=1` counts draws from simulated labelers too."""
    return overview(request, forms.DrawForm())


def overview(request: HttpRequest, form: forms.DrawForm, *, status: int = 200) -> HttpResponse:
    simulated = asked_for_simulated(request)
    report = reports.found_report(simulated=simulated)
    context = {
        "form": form,
        "simulated": simulated,
        "programs_too": has_simulated(),
        "programs_found": not simulated and queries.programs_looked_at(),
        "report": report,
        "state": queries.state(),
        "figures": queries.figures(simulated=simulated),
        "job": queries.last_job(),
        "waiting": queries.waiting_for(request.user),
        "looks": queries.look_counts(),
        "page": queries.draws_page(after=request.GET.get("after")),
    }
    if not report.waiting:
        words = reports.arm_words()
        overall = next(cut for cut in report.content["cuts"] if cut["key"] == "all")
        context |= {"overall": overall, "arms": [(words[arm], overall[arm]) for arm in reports.ARMS]}
    template = "label_errors/_found.html" if request.htmx else "label_errors/overview.html"
    return render(request, template, context, status=status)


@require_POST
@only(*STAFF)
def look(request: HttpRequest) -> HttpResponse:
    job = services.request_look(actor=request.user, simulated=request.POST.get("simulated") == "on")
    messages.success(request, _("A worker reads new answers and asks the reward model, if there is one."))
    return redirect("job", job.pk)


@require_POST
@only(*STAFF)
def draw(request: HttpRequest) -> HttpResponse:
    form = forms.DrawForm(request.POST)
    if form.is_valid():
        try:
            made = services.draw_answers(**form.cleaned_data, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            count = made.items.count()
            messages.success(request, _("{count} answers wait to be looked at.").format(count=count))
            return redirect("label-errors")
    return overview(request, form, status=400)


@require_POST
@only(*STAFF)
def take_next(request: HttpRequest) -> HttpResponse:
    """The next answer to look at, held for whoever asked."""
    return to_next(request)


def to_next(request: HttpRequest) -> HttpResponse:
    item = services.claim_next(reviewer=request.user)
    if item is None:
        messages.info(request, _("No answer waits to be looked at. Draw some more below."))
        return redirect("label-errors")
    return redirect("label-error", item.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@only(*STAFF)
def label_error(request: HttpRequest, error_id) -> HttpResponse:
    """One answer to look at; POST says what it is, and goes on to the next."""
    error = None
    if request.method == "POST":
        said = {"verdict": request.POST.get("verdict", ""), "note": request.POST.get("note", "")}
        try:
            verdict = services.judge(item_id=error_id, reviewer=request.user, **said)
        except Refusal as refusal:
            if refusal.status != 400:
                raise
            error = refusal
        else:
            messages.success(request, _("Saved: {verdict}.").format(verdict=verdict.get_verdict_display()))
            if verdict.verdict == ErrorVerdict.Verdict.ERROR and request.POST.get("second_look") == "on":
                _send_back(request, error_id)
            return to_next(request) if verdict.revision == 1 else redirect("label-errors-judged")
    looked = queries.look_at(queries.get_item(error_id), reviewer=request.user)
    context = {
        "looked": looked,
        "item": looked.item,
        "said": said if error else looked.verdict,
        "error": error,
        "ask_again": request.POST.get("second_look") == "on",
        "mine": looked.item.claimed_by_id == request.user.pk,
        "verdicts": ErrorVerdict.Verdict,
        "note_characters": services.NOTE_CHARACTERS,
        "waiting": queries.waiting_for(request.user),
        "no_second_look": queries.why_no_second_look(looked.item) if looked.verdict else None,
    }
    return render(request, "label_errors/item.html", context, status=error.status if error else 200)


def _send_back(request: HttpRequest, error_id) -> None:
    """Ask for a second look; where that cannot be, the page says why, and what was done before stays done."""
    try:
        services.ask_second_look(item_id=error_id, actor=request.user)
    except Conflict as refusal:
        messages.warning(request, refusal.message)
    else:
        messages.success(request, _("Its labeler is asked for a second look, and told nothing of what was found."))


@require_POST
@only(*STAFF)
def second_look(request: HttpRequest, error_id) -> HttpResponse:
    """Send the answer back to its labeler."""
    _send_back(request, error_id)
    return redirect("label-error", error_id)


@require_GET
@only(*STAFF)
def judged(request: HttpRequest) -> HttpResponse:
    """What was looked at. `?sent_back=1` shows what was sent back to labelers alone."""
    sent_back = request.GET.get("sent_back") == "1"
    page = queries.judged_page(after=request.GET.get("after"), sent_back=sent_back)
    context = {"page": page, "sent_back": sent_back, "looks": queries.look_counts()}
    return render(request, "label_errors/judged.html", context)


@require_GET
@only(*STAFF)
def label_errors_csv(request: HttpRequest, table: str) -> StreamingHttpResponse:
    """The rows of one plot, all figures ("all"), or every verdict ("verdicts")."""
    if table == "verdicts":
        return csv_response(queries.VERDICT_COLUMNS, queries.verdict_rows(), name="label-error-verdicts")
    report = reports.found_report(simulated=asked_for_simulated(request))
    if report.waiting:
        raise TryLater(_("These figures are being computed; ask again in a few seconds."))
    if table == "all":
        return csv_response(reports.COLUMNS, reports.csv_rows(report.content), name="label-errors")
    if table not in report.plots:
        raise NotFound(_("There is no plot {name!r} here.").format(name=table[:40]))
    plot = report.plots[table]
    return csv_response(plot.columns, plot.rows, name=f"label-errors-{table}")


# The labeler's side


@require_POST
@only(*LABELERS)
def keep(request: HttpRequest, lease_id: str) -> HttpResponse:
    """The labeler stands by an answer that they were asked to look at again."""
    said = {"active_seconds": form_number(request.POST, "active_seconds") or 0, "note": request.POST.get("note", "")}
    services.keep_answer(lease_id=lease_id, labeler=request.user, **said)
    messages.success(request, _("Thank you. Your answer stays as it is."))
    return redirect("work")
