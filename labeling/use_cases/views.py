"""Pages of use cases: the mix against its target, and saying what prompts are for, by keyboard."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.intake.models import Split, UseCase
from labeling.people.access import ADMINS, STAFF, only
from labeling.plots import csv_response
from labeling.refusals import Refusal
from labeling.use_cases import forms, queries, services, suggesting, targets
from labeling.use_cases.models import UseCaseTarget

AHEAD = 5  # prompts that the page fetches before they are needed


def asked(request: HttpRequest) -> dict:
    return {"split": request.GET.get("split", ""), "with_suggestions": request.GET.get("suggestions") == "1"}


@require_GET
@only(*STAFF)
def use_cases(request: HttpRequest) -> HttpResponse:
    """The mix as it is at this moment."""
    found = queries.mix(**asked(request))
    context = {"mix": found, "plot": queries.plot_of(found), "splits": Split, "query": request.GET.urlencode()}
    if request.htmx:
        return render(request, "use_cases/_mix.html", context)
    agreement = queries.agreement()
    kappas = zip(UseCase.choices, agreement.by_category, strict=False)
    context |= {
        "agreement": agreement,
        "kappas": [(label, kappa) for (_name, label), kappa in kappas],
        "versions": queries.versions(),
        "model": suggesting.newest_model(),
        "job": suggesting.running_job(),
    }
    return render(request, "use_cases/mix.html", context)


@require_GET
@only(*STAFF)
def use_cases_csv(request: HttpRequest) -> HttpResponse:
    rows = [row.as_list for row in queries.mix(**asked(request)).rows]
    return csv_response(queries.COLUMNS, rows, name="use-cases")


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def use_cases_target(request: HttpRequest) -> HttpResponse:
    """Another mix to aim at."""
    now = targets.current()
    initial = {**now.shares, "suggestions": now.suggestions, "replaces": now.number}
    form = forms.TargetForm(request.POST or None, initial=initial)
    status = 200
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                targets.set_target(**form.target(), actor=request.user)
            except Refusal as refusal:
                form.add_error(None, refusal.message)
                status = refusal.status
            else:
                messages.success(request, _("This mix is aimed at from now on."))
                return redirect("use-cases")
    return render(request, "use_cases/target.html", {"form": form}, status=status)


@require_GET
@never_cache
@only(*STAFF)
def use_cases_assign(request: HttpRequest) -> HttpResponse:
    """The next prompt to say a use case of; to the page's script, the next few as fragments."""
    fragment = "HX-Request" in request.headers
    after = request.GET.get("after", "")
    turn = queries.turn(person=request.user, after=after, size=AHEAD if fragment else 1)
    context = {"turn": turn, "categories": queries.categories(), **suggested(turn)}
    if fragment:
        return render(request, "use_cases/_turn.html", context)
    return render(request, "use_cases/assign.html", context | {"said": queries.said_by(request.user)})


def suggested(turn: queries.Turn) -> dict:
    """When suggestions are shown, and on each prompt the one that may be."""
    shown = targets.current().suggestions
    found = queries.suggestions_of([each.pk for each in turn.prompts]) if shown != UseCaseTarget.Shown.NEVER else {}
    for prompt in turn.prompts:
        prompt.suggested = found.get(prompt.pk)
    return {"shown": shown}


@require_POST
@only(*ADMINS)
def use_cases_train(request: HttpRequest) -> HttpResponse:
    job = suggesting.start_training(actor=request.user)
    return redirect("job", job.pk)


@require_POST
@only(*STAFF)
def use_cases_say(request: HttpRequest, prompt_id) -> HttpResponse:
    """A word, or one taken back, without the script."""
    said = request.POST.get("use_case", "")
    services.assign(prompt_id=prompt_id, use_case=said, person=request.user, saw=request.POST.get("saw", ""))
    messages.success(request, _("Written down.") if said else _("Taken back."))
    back = request.POST.get("back") == "prompt"
    return redirect("prompt", prompt_id) if back else redirect(reverse("use-cases-assign"))
