"""Surveys: to those who are asked a page to answer on, to the team its rounds and what may be shown of them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.people.access import ADMINS, LABELERS, STAFF, only
from labeling.people.queries import team_settings
from labeling.refusals import NotFound, Refusal
from labeling.surveys import forms, queries, services
from labeling.surveys.built_in import UNSAID


@require_safe
@never_cache
@only(*LABELERS)
def surveys(request: HttpRequest) -> HttpResponse:
    context = {
        "rounds": queries.rounds_for(request.user),
        "invitations": queries.wants_invitations(request.user),
    }
    return render(request, "surveys/surveys.html", context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@only(*LABELERS)
def survey(request: HttpRequest, round_id) -> HttpResponse:
    held = queries.get_round_for(request.user, round_id)
    if request.method != "POST":
        if queries.part_of(request.user, held) == "answered":
            messages.info(request, _("Your answers to this survey are in already; each person answers once."))
            return redirect("surveys")
        return survey_page(request, held, {})
    asked = [question["name"] for question in held.questionnaire.definition["questions"]]
    answers = {name: [value for value in request.POST.getlist(name) if value] for name in asked}
    try:
        services.answer_round(round_id=round_id, person=request.user, answers=answers)
    except services.AnsweredAlready as refusal:
        messages.info(request, refusal.message)
    except Refusal as refusal:
        return survey_page(request, held, answers, error=refusal)
    else:
        messages.success(request, _("Thank you. Your answers are counted; that they are yours is kept nowhere."))
    return redirect("surveys")


def survey_page(request: HttpRequest, held, answers: dict, *, error: Refusal | None = None) -> HttpResponse:
    questions = [
        {
            **question,
            "chosen": answers.get(question["name"], []),
            "list": question["kind"] != "several" and len(question["options"]) > queries.LONG_LIST,
        }
        for question in held.questionnaire.definition["questions"]
    ]
    context = {"round": held, "questions": questions, "unsaid": UNSAID, "error": error}
    return render(request, "surveys/survey.html", context, status=error.status if error else 200)


@require_POST
@only(*LABELERS)
def decline(request: HttpRequest, round_id) -> HttpResponse:
    services.decline_round(round_id=round_id, person=request.user)
    messages.success(request, _("You are not invited to this survey again."))
    return redirect("work")


@require_POST
@only(*LABELERS)
def invitations(request: HttpRequest) -> HttpResponse:
    services.set_invitations(person=request.user, wanted=request.POST.get("wanted") == "yes")
    messages.success(request, _("Saved."))
    return redirect("surveys")


@require_safe
@only(*STAFF)
def rounds(request: HttpRequest) -> HttpResponse:
    return render(request, "surveys/rounds.html", {"page": queries.rounds_page(after=request.GET.get("after"))})


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def round_new(request: HttpRequest) -> HttpResponse:
    form = forms.RoundForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.open_round(**form.cleaned_data, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("The round is open; those who are asked find it on their page “Work”."))
            return redirect("survey-round", made.pk)
    context = {"form": form, "minimum": team_settings().survey_minimum}
    return render(request, "surveys/round_new.html", context, status=400 if form.errors else 200)


@require_safe
@only(*STAFF)
def survey_round(request: HttpRequest, round_id) -> HttpResponse:
    held = queries.get_round(round_id)
    context = {
        "round": held,
        "answered": queries.answers_so_far(held),
        "asked": held.report["asked"] if held.report else queries.people_in(held.groups).count(),
        "tables": queries.tables_of(held),
    }
    return render(request, "surveys/round.html", context)


@require_safe
@only(*STAFF)
def round_csv(request: HttpRequest, round_id) -> HttpResponse:
    held = queries.get_round(round_id)
    if held.report is None:
        raise NotFound(_("This round is open; its results are made when it closes."))
    response = HttpResponse(queries.csv_of(held), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="survey-{held.pk}.csv"'
    return response


@require_POST
@only(*ADMINS)
def round_close(request: HttpRequest, round_id) -> HttpResponse:
    services.close_round(round_id=round_id, actor=request.user)
    messages.success(request, _("The round is closed."))
    return redirect("survey-round", round_id)
