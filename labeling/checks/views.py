"""The team's pages on hidden checks: sets, results by labeler, what is behind a dip, alerts. None is a labeler's."""

from __future__ import annotations

from datetime import date

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling import plots
from labeling.checks import drawings, forms, queries, services
from labeling.people.access import ADMINS, STAFF, only
from labeling.people.queries import team_settings
from labeling.refusals import Refusal

RESULTS = (
    *("labeler", "set", "task", "kind", "answered_at", "agreed", "compared", "same", "same_of"),
    *("ratings_agreed", "ratings_compared", "rating_shift", "ratings_same", "ratings_same_of", "rating_moved"),
    *("flags_agreed", "flags_compared"),
)


@require_safe
@only(*STAFF)
def checks(request: HttpRequest) -> HttpResponse:
    context = {
        "sets": queries.sets_page(after=request.GET.get("sets")),
        "page": queries.labelers_page(after=request.GET.get("after")),
        "alerts": queries.alerts_page(after=None, waiting=True),
        "settings": team_settings(),
    }
    return render(request, "checks/checks.html", context)


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def set_new(request: HttpRequest) -> HttpResponse:
    form = forms.SetForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.make_set(**form.cleaned_data, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("The set is made. Its items come to labelers from now on."))
            return redirect("check-set", made.pk)
    return render(request, "checks/set_new.html", {"form": form}, status=400 if form.errors else 200)


@require_safe
@only(*STAFF)
def check_set(request: HttpRequest, set_id) -> HttpResponse:
    held = queries.get_set(set_id)
    context = {"set": held, "page": queries.items_page(held, after=request.GET.get("after"))}
    return render(request, "checks/set.html", context)


@require_POST
@only(*STAFF)
def set_switch(request: HttpRequest, set_id) -> HttpResponse:
    services.switch_set(set_id=set_id, active=request.POST.get("active") == "yes", actor=request.user)
    messages.success(request, _("Saved."))
    return redirect("check-set", set_id)


@require_safe
@only(*STAFF)
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    found = queries.get_labeler(user_id)
    charts, level = queries.charts_of(found), team_settings().check_alert_percent / 100
    week = _day(request.GET.get("week"))
    context = {
        "person": found,
        "charts": [
            {
                "measure": str(measure),
                "title": drawings.TITLES[measure],
                "weeks": weeks[::-1],
                "plot": drawings.control_chart(weeks, measure=measure, level=level),
            }
            for measure, weeks in charts.items()
        ],
        "alerts": queries.alerts_page(after=None, labeler=found),
        "week": week,
        "page": queries.results_page(found, after=request.GET.get("after"), week=week),
    }
    return render(request, "checks/person.html", context)


@require_safe
@only(*STAFF)
def person_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    """Every check of one labeler."""
    found = queries.get_labeler(user_id)
    return plots.csv_response(RESULTS, queries.results_csv(found), name=f"checks-{found.pk}")


@require_safe
@only(*STAFF)
def person_weeks_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    """The control charts of one labeler."""
    found = queries.get_labeler(user_id)
    rows = drawings.rows_of(found.username, queries.charts_of(found))
    return plots.csv_response(drawings.COLUMNS, rows, name=f"check-weeks-{found.pk}")


@require_safe
@only(*STAFF)
def answer(request: HttpRequest, turn_id: int) -> HttpResponse:
    result = queries.get_result(turn_id)
    answers, rows = queries.answers_beside(result)
    return render(request, "checks/answer.html", {"result": result, "answers": answers, "rows": rows})


@require_safe
@only(*STAFF)
def alerts(request: HttpRequest) -> HttpResponse:
    page = queries.alerts_page(after=request.GET.get("after"))
    return render(request, "checks/alerts.html", {"page": page})


@require_POST
@only(*ADMINS)
def alert_acknowledge(request: HttpRequest, alert_id) -> HttpResponse:
    alert = services.acknowledge(alert_id=alert_id, note=request.POST.get("note", ""), actor=request.user)
    messages.success(request, _("Acknowledged."))
    return redirect("check-person", alert.labeler_id)


@require_POST
@only(*ADMINS)
def alert_tell(request: HttpRequest, alert_id) -> HttpResponse:
    """Send the labeler a word."""
    alert = services.tell_labeler(alert_id=alert_id, text=request.POST.get("text", ""), actor=request.user)
    messages.success(request, _("Sent."))
    return redirect("check-person", alert.labeler_id)


def _day(text: str | None) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        if not 2000 <= day.year <= 9000:
            raise ValueError(text)
    except ValueError:
        raise Refusal(_("`week` must be a day, such as 2026-01-26.")) from None
    return day
