"""Pages about prompts: the list, one prompt with what was found in it, bringing files in, and what waits."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.governance import forms, queries, services
from labeling.intake import queries as intake
from labeling.people.access import STAFF, only
from labeling.refusals import Refusal
from labeling.wording import in_words


@require_GET
@only(*STAFF)
def prompts(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:100] for name in intake.FILTERS}
    page = intake.prompts_page(**asked, after=request.GET.get("after"))
    context = {"page": page, "asked": asked, "filters": intake.FILTERS, "sources": intake.source_names()}
    return render(request, "governance/prompts.html", context)


@require_GET
@only(*STAFF)
def prompt(request: HttpRequest, prompt_id) -> HttpResponse:
    found = intake.get_prompt(prompt_id)
    findings = queries.findings_of([found])[found.pk]
    context = {
        "prompt": found,
        "messages_marked": queries.marked_messages(found, findings),
        "findings": findings,
        "categories_form": forms.CategoriesForm(initial={"categories": found.categories}),
        "decisions": queries.decisions_about(found),
    }
    return render(request, "governance/prompt.html", context)


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def prompt_import(request: HttpRequest) -> HttpResponse:
    """A file in: kept, then imported by a job whose page shows how far it is."""
    bound = (request.POST, request.FILES) if request.method == "POST" else ()
    form = forms.ImportForm(*bound)
    if form.is_valid():
        try:
            job = services.start_import(
                upload=form.cleaned_data["file"], source=form.cleaned_data["source"], created_by=request.user
            )
        except Refusal as refusal:
            form.add_error("file", refusal.message)
        else:
            return redirect("job", job.pk)
    context = {"form": form, "imports": intake.latest_imports()}
    return render(request, "governance/import.html", context, status=400 if request.method == "POST" else 200)


@require_GET
@only(*STAFF)
def prompt_triage(request: HttpRequest) -> HttpResponse:
    page = intake.held_page(after=request.GET.get("after"))
    findings = queries.findings_of(page.items)
    rows = [(held, queries.marked_messages(held, findings[held.pk]), findings[held.pk]) for held in page]
    return render(request, "governance/triage.html", {"page": page, "rows": rows})


@require_POST
@only(*STAFF)
def prompt_decide(request: HttpRequest, prompt_id) -> HttpResponse:
    form = forms.DecisionForm(request.POST)
    if not form.is_valid():
        raise Refusal(_("Choose release or drop, and say why in 1 to 300 characters."))
    decided = services.decide_prompt(
        prompt_id=prompt_id,
        outcome=form.cleaned_data["outcome"],
        reason=form.cleaned_data["reason"],
        decided_by=request.user,
    )
    messages.success(request, _("The prompt is {decided}.").format(decided=in_words(decided.state)))
    if form.cleaned_data["next"] == "prompt-triage":
        return redirect("prompt-triage")
    return redirect("prompt", prompt_id)
