"""Who is at which step, one newcomer's report, and the decisions."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.onboarding import drawings, forms, queries, services
from labeling.onboarding.reports import report_of
from labeling.people.access import ADMINS, STAFF, only
from labeling.people.models import User
from labeling.people.queries import get_person
from labeling.plots import csv_response
from labeling.practice.queries import tried_by
from labeling.refusals import Refusal


@require_safe
@never_cache
@only(*STAFF)
def onboarding(request: HttpRequest) -> HttpResponse:
    return overview(request)


def overview(request: HttpRequest, *, form: forms.OnboardingSettingsForm | None = None) -> HttpResponse:
    step = request.GET.get("step", User.Onboarding.WAITING)
    figures, counts = queries.onboarding_settings(), queries.counts_by_step()
    start = {name: getattr(figures, name) for name in ("switched_on", "tour", "answers", "waits")}
    context = {
        "page": queries.people_page(step, after=request.GET.get("after")),
        "step": step,
        "steps": [(value, label, counts[value]) for value, label in User.Onboarding.choices],
        "figures": figures,
        "batches": queries.probation_batches(),
        "form": form or forms.OnboardingSettingsForm(initial=start),
    }
    return render(request, "onboarding/onboarding.html", context, status=400 if form else 200)


@require_safe
@only(*STAFF)
def onboarding_csv(request: HttpRequest) -> HttpResponse:
    step = request.GET.get("step", User.Onboarding.WAITING)
    queries.people_at(step)  # refused before anything is sent
    return csv_response(queries.COLUMNS, queries.people_rows(step), name=f"onboarding-{step}")


@require_POST
@only(*ADMINS)
def settings(request: HttpRequest) -> HttpResponse:
    form = forms.OnboardingSettingsForm(request.POST)
    if not form.is_valid():
        return overview(request, form=form)
    services.change_settings(**form.cleaned_data, actor=request.user)
    messages.success(request, _("Saved."))
    return redirect("onboarding")


@require_POST
@only(*ADMINS)
def begin(request: HttpRequest, user_id: int) -> HttpResponse:
    services.begin_onboarding(person=get_person(user_id), actor=request.user, always=True)
    messages.success(request, _("They begin with the guidelines; see how far they are here."))
    return redirect("newcomer", user_id)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@only(*STAFF)
def newcomer(request: HttpRequest, user_id: int) -> HttpResponse:
    """The report about somebody, and the form that decides."""
    person = queries.get_newcomer(user_id)
    form = forms.DecisionForm(request.POST if request.method == "POST" else None, initial={"seen": person.onboarding})
    if form.is_bound and form.is_valid():
        try:
            services.decide(user_id=user_id, actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Decided."))
            return redirect("newcomer", user_id)
    report, tried = report_of(person), tried_by(person)
    context = {
        "person": person,
        "form": form,
        "report": report,
        "practice": drawings.of_practice(tried) if tried else None,
        "days": drawings.of_days(report.days, researchers_seconds=report.researchers_seconds) if report.days else [],
        "events": queries.events_of(person),
        "under_way": person.onboarding in queries.UNDER_WAY,
    }
    return render(request, "onboarding/newcomer.html", context, status=400 if form.errors else 200)


@require_safe
@only(*STAFF)
def practice_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    """Each answer of a newcomer to a practice task, beside the reference."""
    person = queries.get_newcomer(user_id)
    rows = drawings.practice_rows(tried_by(person))
    return csv_response(drawings.PRACTICE, rows, name=f"practice-{person.pk}")


@require_safe
@only(*STAFF)
def probation_csv(request: HttpRequest, user_id: int) -> HttpResponse:
    """A newcomer's days on probation."""
    person = queries.get_newcomer(user_id)
    return csv_response(drawings.DAYS, drawings.day_rows(report_of(person).days), name=f"probation-{person.pk}")
