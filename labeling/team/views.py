"""The list of people, one person's page, and one answer as the team reads it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.audit import queries as audit
from labeling.leasing.answers import form_number
from labeling.leasing.kinds import kind_of
from labeling.leasing.queries import completions_shown
from labeling.people import services as people_services
from labeling.people.access import ADMINS, STAFF, only
from labeling.people.forms import QuotaForm
from labeling.people.models import User
from labeling.people.queries import get_person
from labeling.plots import csv_response
from labeling.refusals import Refusal
from labeling.team import drawings, forms, queries, services

LATEST = 8  # of each list on a person's page


@require_safe
@only(*ADMINS)
def people(request: HttpRequest) -> HttpResponse:
    form = forms.PeopleFilter(request.GET)
    page = queries.people_page(form.asked(), after=request.GET.get("after"))
    return render(request, "team/people.html", {"page": page, "form": form})


@require_safe
@only(*ADMINS)
def people_csv(request: HttpRequest) -> HttpResponse:
    asked = forms.PeopleFilter(request.GET).asked()
    return csv_response(queries.COLUMNS, queries.rows_of(asked), name="people")


def person_page(request: HttpRequest, someone: User, *, status: int = 200, **context: object) -> HttpResponse:
    by = "week" if request.GET.get("by") == "week" else "day"
    context = {
        "person": someone,
        "member": queries.member(someone),
        "by": by,
        "plots": drawings.of_work(queries.work_over_time(someone, by=by), by=by),
        "answers": queries.tasks_page(someone, show=queries.ANSWERS, size=LATEST),
        "skips": queries.tasks_page(someone, show=queries.SKIPS, size=LATEST),
        "corrections": queries.corrections_page(someone, size=LATEST),
        "questions": queries.questions_of(someone, size=LATEST),
        "form": forms.ChangeRoleForm(initial={"role": someone.role, "group": someone.group}),
        "quota_form": QuotaForm(initial={"quota": someone.daily_quota}),
        "offboard_form": forms.OffboardForm(prefix="offboard"),
        "events": audit.events_about(someone, limit=LATEST),
        **context,
    }
    return render(request, "team/person.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@only(*ADMINS)
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    someone = get_person(user_id)
    if request.method != "POST":
        return person_page(request, someone)
    form = forms.ChangeRoleForm(request.POST)
    if form.is_valid():
        try:
            services.change_role(user_id=user_id, actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved. It holds from their next answer on."))
            return redirect("person", user_id)
    return person_page(request, someone, status=400, form=form)


@require_POST
@only(*ADMINS)
def person_offboard(request: HttpRequest, user_id: int) -> HttpResponse:
    form = forms.OffboardForm(request.POST, prefix="offboard")
    if not form.is_valid():
        return person_page(request, get_person(user_id), status=400, offboard_form=form)
    services.offboard(user_id=user_id, reason=form.cleaned_data["reason"], actor=request.user)
    messages.success(
        request,
        _("Offboarded: they are signed out everywhere, and what they held is free for others. Their answers stay."),
    )
    return redirect("person", user_id)


@require_POST
@only(*ADMINS)
def person_activate(request: HttpRequest, user_id: int) -> HttpResponse:
    people_services.activate_user(user_id=user_id, actor=request.user)
    messages.success(request, _("The account can sign in again."))
    return redirect("person", user_id)


@require_safe
@only(*ADMINS)
def person_work(request: HttpRequest, user_id: int, show: str) -> HttpResponse:
    """All of one of the lists that the person's page begins."""
    someone, after = get_person(user_id), request.GET.get("after")
    if show in queries.STATES:
        page = queries.tasks_page(someone, show=show, after=after)
    elif show == "corrections":
        page = queries.corrections_page(someone, after=after)
    else:
        page = queries.questions_of(someone, after=after)
    return render(request, "team/person_work.html", {"person": someone, "show": show, "page": page})


@require_safe
@only(*ADMINS)
def person_csv(request: HttpRequest, user_id: int, show: str) -> HttpResponse:
    someone = get_person(user_id)
    name = f"{show}-{someone.pk}"
    if show in queries.SHOWN:
        rows = [(each.begins, each.answers, each.active_seconds) for each in queries.work_over_time(someone, by=show)]
        return csv_response((f"{show}_begins", "answers", "active_seconds"), rows, name=name)
    if show == "agreement":
        return csv_response(queries.AGREEMENT_COLUMNS, queries.agreement_rows(someone), name=name)
    if show in queries.STATES:
        return csv_response(queries.TASK_COLUMNS, queries.task_rows(someone, show=show), name=name)
    return csv_response(queries.CORRECTION_COLUMNS, queries.correction_rows(someone), name=name)


@require_safe
@only(*STAFF)
def answer(request: HttpRequest, lease_id) -> HttpResponse:
    """Whatever the kind of task: what was asked, and what somebody said, under the form they had."""
    revision = form_number(request.GET, "revision")
    if isinstance(revision, str):
        raise Refusal(_("`revision` must be a number; take it out of the address for the latest."))
    given = queries.get_answer(lease_id, revision=revision)
    kind = kind_of(given.lease)
    context = {
        "lease": given.lease,
        "answer": given.answer,
        "revisions": given.revisions,
        "completions": completions_shown(given.lease),
        "given_template": kind.given_template,
        "for_team": True,
        **kind.answer_context(given.answer),
    }
    return render(request, "team/answer.html", context)
