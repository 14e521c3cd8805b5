"""Screening: rounds, reports without names, grading and the coverage matrix for staff; an applicant's own way."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.leasing.answers import form_number
from labeling.people.access import ADMINS, LABELERS, STAFF, only
from labeling.people.models import User
from labeling.plots import csv_response
from labeling.refusals import NotFound, Refusal
from labeling.sampling.models import Batch
from labeling.screening import forms, queries, services
from labeling.screening.models import Gate, Topic

RESEARCHERS = (User.Role.RESEARCHER,)


# Rounds


@require_safe
@only(*STAFF)
def rounds(request: HttpRequest) -> HttpResponse:
    context = {"page": queries.rounds_page(after=request.GET.get("after"))}
    if request.user.role == User.Role.RESEARCHER:
        context["to_grade"] = queries.to_grade(request.user).count()
    return render(request, "screening/rounds.html", context)


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def round_new(request: HttpRequest) -> HttpResponse:
    form = forms.RoundForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        counts = {name: form.cleaned_data[name] for name in services.COUNTS}
        try:
            made = services.create_round(name=form.cleaned_data["name"], actor=request.user, **form.figures(), **counts)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect("screening-round", made.pk)
    return render(request, "screening/round_new.html", {"form": form}, status=400 if form.errors else 200)


@never_cache
@require_safe
@only(*STAFF)
def screening_round(request: HttpRequest, screening_id: int) -> HttpResponse:
    return round_page(request, queries.get_round(screening_id))


def round_page(request: HttpRequest, held, *, status: int = 200, **more: object) -> HttpResponse:
    items = list(queries.items_of(held))
    gates = [
        {"number": gate.value, "label": gate.label, "items": [item for item in items if item.gate == gate]}
        for gate in Gate
    ]
    shares = {"flags_cutoff": 100 * held.flags_cutoff, "rankings_cutoff": 100 * held.rankings_cutoff}
    context = {
        "round": held,
        "gates": gates,
        "page": queries.applications_page(held, after=request.GET.get("after")),
        "invite_form": forms.InviteForm(),
        "cutoffs_form": forms.CutoffsForm(initial={**shares, "grade_cutoff": held.grade_cutoff}),
        **more,
    }
    return render(request, "screening/round.html", context, status=status)


@require_POST
@only(*ADMINS)
def round_open(request: HttpRequest, screening_id: int) -> HttpResponse:
    services.open_round(round_id=screening_id, actor=request.user)
    messages.success(request, _("The round is open: researchers find its items in their queue, and you may invite."))
    return redirect("screening-round", screening_id)


@require_POST
@only(*ADMINS)
def round_close(request: HttpRequest, screening_id: int) -> HttpResponse:
    services.close_round(round_id=screening_id, actor=request.user)
    messages.success(request, _("The round is closed."))
    return redirect("screening-round", screening_id)


@require_POST
@only(*ADMINS)
def cutoffs(request: HttpRequest, screening_id: int) -> HttpResponse:
    form = forms.CutoffsForm(request.POST)
    if not form.is_valid():
        return round_page(request, queries.get_round(screening_id), status=400, cutoffs_form=form)
    services.set_cutoffs(round_id=screening_id, actor=request.user, **form.figures())
    messages.success(request, _("Saved."))
    return redirect("screening-round", screening_id)


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def items(request: HttpRequest, screening_id: int, gate: int) -> HttpResponse:
    held = queries.get_round(screening_id)
    if request.method == "POST":
        services.add_items(round_id=screening_id, gate=gate, ids=request.POST.getlist("item"), actor=request.user)
        messages.success(request, _("Added."))
        return redirect("screening-round", screening_id)
    if gate not in Gate.values:
        raise NotFound(_("There is no such gate."))
    number = form_number(request.GET, "batch")
    batch = get_object_or_404(Batch, pk=number) if isinstance(number, int) else None
    sensitive = request.GET.get("all") != "1"
    context = {
        "round": held,
        "gate": Gate(gate),
        "writing": gate == Gate.DEMONSTRATIONS,
        "batches": queries.source_batches(),
        "batch": batch,
        "sensitive": sensitive,
        "page": queries.candidates_page(gate, batch=batch, sensitive=sensitive, after=request.GET.get("after")),
    }
    return render(request, "screening/items.html", context)


@require_POST
@only(*ADMINS)
def item_remove(request: HttpRequest, chosen_id: int) -> HttpResponse:
    held = services.remove_item(item_id=chosen_id, actor=request.user)
    return redirect("screening-round", held.pk)


@require_POST
@only(*STAFF)
def item_note(request: HttpRequest, chosen_id: int) -> HttpResponse:
    item = services.set_note(item_id=chosen_id, note=request.POST.get("note", ""), actor=request.user)
    messages.success(request, _("Saved."))
    return redirect("screening-round", item.round_id)


@never_cache
@require_POST
@only(*ADMINS)
def invite(request: HttpRequest, screening_id: int) -> HttpResponse:
    held = queries.get_round(screening_id)
    form = forms.InviteForm(request.POST)
    if not form.is_valid():
        return round_page(request, held, status=400, invite_form=form)
    _application, token = services.invite(round_id=screening_id, actor=request.user, **form.cleaned_data)
    # Shown on this answer and never again, so there is no redirect to another page.
    link = request.build_absolute_uri(reverse("invitation-accept", args=[token]))
    return round_page(request, held, status=201, link=link)


# Deciding


@never_cache
@require_safe
@only(*STAFF)
def applicant(request: HttpRequest, application_id) -> HttpResponse:
    return applicant_page(request, queries.get_application(application_id))


def applicant_page(request: HttpRequest, application, *, form=None, error=None) -> HttpResponse:
    decisions = queries.decisions_of(application)
    latest = decisions[0] if decisions else None
    context = {
        "application": application,
        "report": queries.report_on(application),
        "decisions": decisions,
        "form": form or forms.DecisionForm(initial={"revises": latest.pk if latest else None}),
        "error": error,
    }
    status = error.status if error else 400 if form is not None and form.errors else 200
    return render(request, "screening/applicant.html", context, status=status)


@require_safe
@only(*STAFF)
def applicant_csv(request: HttpRequest, application_id) -> HttpResponse:
    application = queries.get_application(application_id)
    columns, *rows = queries.report_rows(queries.report_on(application))
    return csv_response(columns, rows, name=f"applicant-{application.code}")


@require_POST
@only(*ADMINS)
def decide(request: HttpRequest, application_id) -> HttpResponse:
    application = queries.get_application(application_id)
    form = forms.DecisionForm(request.POST)
    if not form.is_valid():
        return applicant_page(request, application, form=form)
    try:
        services.decide(application_id=application_id, actor=request.user, **form.cleaned_data)
    except Refusal as refusal:
        application.refresh_from_db()
        return applicant_page(request, application, form=form, error=refusal)
    messages.success(request, _("Decided, and written down with its reason."))
    return redirect("screening-applicant", application_id)


# Grading


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@only(*RESEARCHERS)
def grading(request: HttpRequest) -> HttpResponse:
    error = None
    if request.method == "POST":
        try:
            services.grade(
                demonstration_id=request.POST.get("demonstration", ""),
                value=form_number(request.POST, "grade"),
                note=request.POST.get("note", ""),
                grader=request.user,
            )
        except Refusal as refusal:
            error = refusal
        else:
            return redirect("screening-grading")
    waiting = queries.to_grade(request.user)
    context = {"written": waiting.first(), "waiting": waiting.count(), "error": error, "steps": range(1, 8)}
    return render(request, "screening/grading.html", context, status=error.status if error else 200)


# Coverage


@require_safe
@only(*STAFF)
def coverage(request: HttpRequest) -> HttpResponse:
    topics = list(Topic.objects.filter(active=True).order_by("id"))
    nobody = {topic.pk for topic in queries.uncovered()}
    for topic in topics:
        topic.uncovered = topic.pk in nobody
    context = {"topics": topics, "page": queries.coverage_page(topics, after=request.GET.get("after"))}
    return render(request, "screening/coverage.html", context)


@require_safe
@only(*STAFF)
def coverage_csv(request: HttpRequest) -> HttpResponse:
    rows = queries.coverage_rows()
    return csv_response(next(rows), rows, name="coverage")


@require_POST
@only(*ADMINS)
def topic_add(request: HttpRequest) -> HttpResponse:
    services.add_topic(name=request.POST.get("name", ""), actor=request.user)
    return redirect("screening-coverage")


@require_POST
@only(*ADMINS)
def topic_retire(request: HttpRequest, topic_id: int) -> HttpResponse:
    services.retire_topic(topic_id=topic_id, actor=request.user)
    return redirect("screening-coverage")


# An applicant's own


@never_cache
@require_safe
@only(*LABELERS)
def application(request: HttpRequest) -> HttpResponse:
    own = queries.application_of(request.user)
    context = {"application": own, "topics": queries.topics_asked(request.user.pk)}
    if own is not None:
        context["steps"] = queries.progress_of(own, person_id=request.user.pk)
        decisions = queries.decisions_of(own)
        context["decision"] = decisions[0] if decisions and own.outcome in queries.FINAL else None
    return render(request, "screening/application.html", context)


@require_POST
@only(*LABELERS)
def topics(request: HttpRequest) -> HttpResponse:
    able = {
        int(name.removeprefix("topic-")): value == "yes"
        for name, value in request.POST.items()
        if name.startswith("topic-") and name[6:].isascii() and name[6:].isdigit() and len(name) < 16 and value
    }
    services.answer_topics(person=request.user, able=able)
    messages.success(request, pgettext("topics", "Saved. You may change it whenever it changes."))
    return redirect("application")


@never_cache
@require_safe
@only(*LABELERS)
def feedback(request: HttpRequest) -> HttpResponse:
    own = queries.application_of(request.user)
    if own is None or own.outcome not in queries.FINAL:
        raise NotFound(_("What the researchers chose comes here once it is decided on your application."))
    context = {
        "application": own,
        "decision": queries.decisions_of(own)[0],
        "report": queries.report_on(own),
    }
    return render(request, "screening/feedback.html", context)
