"""Disagreement: what waits and why, one task with all its answers, and the rules."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.adjudication import forms, queries, services
from labeling.adjudication.models import AdjudicationCase
from labeling.people.access import ADMINS, STAFF, only
from labeling.people.models import User
from labeling.plots import csv_response
from labeling.refusals import Refusal
from labeling.sampling.models import Batch
from labeling.sampling.services import get_batch

RESEARCHERS = (User.Role.RESEARCHER,)


def _asked(request: HttpRequest) -> tuple[str, Batch | None]:
    batch = request.GET.get("batch", "")
    return request.GET.get("state", ""), get_batch(batch) if batch else None


@require_safe
@only(*STAFF)
def adjudication(request: HttpRequest) -> HttpResponse:
    return _page(request, forms.RuleForm(initial=forms.RuleForm.of(queries.team_rule())))


def _page(request: HttpRequest, form: forms.RuleForm) -> HttpResponse:
    state, batch = _asked(request)
    state = state or AdjudicationCase.State.WAITING
    context = {
        "page": queries.cases_page(state=state, batch=batch, after=request.GET.get("after")),
        "state": str(state),
        "states": AdjudicationCase.State.choices,
        "batch": batch,
        "shares": queries.shares(batch),
        "rule": queries.team_rule(),
        "form": form,
    }
    return render(request, "adjudication/adjudication.html", context, status=400 if form.errors else 200)


@require_safe
@only(*STAFF)
def adjudication_csv(request: HttpRequest) -> HttpResponse:
    state, batch = _asked(request)
    queries.check_state(state)
    return csv_response(queries.COLUMNS, queries.rows_of(state=state, batch=batch), name="adjudication")


@require_POST
@only(*ADMINS)
def team_rule(request: HttpRequest) -> HttpResponse:
    form = forms.RuleForm(request.POST)
    if form.is_valid():
        try:
            services.set_rule(batch=None, actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved. The answers that are there are looked at again."))
            return redirect("adjudication")
    return _page(request, form)


@require_http_methods(["GET", "HEAD", "POST"])
@only(*STAFF)
def batch_rule(request: HttpRequest, batch_id: int) -> HttpResponse:
    batch = get_batch(batch_id)
    rule, own = queries.rule_of(batch)
    initial = forms.RuleForm.of(rule) | ({} if own else {"policy": forms.TEAM})
    form = forms.BatchRuleForm(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            if form.cleaned_data["policy"] == forms.TEAM:
                services.clear_rule(batch=batch, actor=request.user)
            else:
                services.set_rule(batch=batch, actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Saved. The answers that are there are looked at again."))
            return redirect("batch", batch.pk)
    context = {"batch": batch, "form": form, "team": queries.team_rule()}
    return render(request, "adjudication/batch.html", context, status=400 if form.errors else 200)


@require_safe
@never_cache
@only(*STAFF)
def adjudication_task(request: HttpRequest, task_id: uuid.UUID) -> HttpResponse:
    task = services.get_task(task_id)
    case = task.adjudication_case
    completions = queries.completions_of(task)
    shown = queries.may_see_answers(task, request.user)
    context = {
        "task": task,
        "case": case,
        "completions": completions,
        "shown": shown,
        "answers": queries.answers_side_by_side(task, completions) if shown else [],
        "outcome": queries.said_of(case.outcome, completions) if case.outcome_id else None,
        "blind": queries.was_blind(case.outcome) if case.outcome_id else None,
        "requests": task.adjudication_requests.select_related("by").order_by("-pk"),
        "assessments": [(each, queries.pairs_body(each)) for each in task.assessments.order_by("-number")],
    }
    return render(request, "adjudication/task.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@only(*STAFF)
def send(request: HttpRequest, task_id: uuid.UUID) -> HttpResponse:
    """Send one task to a researcher or to more labelers."""
    task = services.get_ranking_task(task_id)
    form = forms.SendForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            services.send_by_hand(task_id=task.pk, actor=request.user, **form.asked())
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Sent."))
            return redirect("adjudication-task", task.pk)
    case = AdjudicationCase.objects.filter(pk=task.pk).first()
    context = {
        "task": task,
        "case": case,
        "form": form,
        "no_one": services.why_not_sent(task, case),
        "no_labelers": services.why_no_labelers(task),
    }
    return render(request, "adjudication/send.html", context, status=400 if form.errors else 200)


@require_POST
@only(*RESEARCHERS)
def take(request: HttpRequest, task_id: uuid.UUID) -> HttpResponse:
    lease = services.take_case(task_id=task_id, researcher=request.user)
    return redirect("task", lease.pk)


@require_POST
@only(*RESEARCHERS)
def reveal(request: HttpRequest, lease_id: uuid.UUID) -> HttpResponse:
    """Back to the task, where the draft is as it was: the page has kept it when it was left."""
    services.reveal(lease_id=lease_id, researcher=request.user)
    return redirect("task", lease_id)
