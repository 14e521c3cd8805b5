"""Pages about a person's data: what there is of somebody, given to them, erased, and what had learned from it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from labeling.erasure import exporting, forms, queries, services
from labeling.intake.queries import source_names
from labeling.people.access import ADMINS, STAFF, only
from labeling.refusals import Refusal


@require_GET
@only(*STAFF)
def erasures(request: HttpRequest) -> HttpResponse:
    """Tombstones; for admins the way to a person, and how long each source's prompts are kept."""
    context = {
        "page": queries.erasures_page(after=request.GET.get("after")),
        "find_form": forms.FindForm(auto_id="find_%s"),
        "retention_form": forms.RetentionForm(auto_id="keep_%s"),
        "retentions": queries.retentions(),
        "sources": source_names(),
    }
    return render(request, "erasure/erasures.html", context)


@require_GET
@only(*STAFF)
def erasure(request: HttpRequest, erasure_id) -> HttpResponse:
    """One tombstone and its taint report."""
    found = queries.get_erasure(erasure_id)
    context = {
        "erasure": found,
        "counts": queries.counts_of(found),
        "followed": queries.followed(found),
        "refused": queries.is_refused(found),
    }
    return render(request, "erasure/erasure.html", context)


@require_POST
@never_cache
@only(*ADMINS)
def person_find(request: HttpRequest) -> HttpResponse:
    """By POST: who was looked for stands in no log of addresses."""
    form = forms.FindForm(request.POST)
    if not form.is_valid():
        raise Refusal(_("Name the source, and the person’s id there."))
    return redirect("source-user", services.get_source_user(**form.cleaned_data).pk)


@require_GET
@never_cache
@only(*ADMINS)
def source_user(request: HttpRequest, person_id: int) -> HttpResponse:
    person = queries.get_source_user_by_number(person_id)
    context = {"person": person, "held": queries.held_of(person), "form": forms.EraseForm()}
    return render(request, "erasure/person.html", context)


@require_POST
@never_cache
@only(*ADMINS)
def person_export(request: HttpRequest, person_id: int) -> HttpResponse:
    """A POST: the act has its line in the audit trail, and no link leads to it."""
    person = queries.get_source_user_by_number(person_id)
    services.record_export(source_user=person, actor=request.user)
    response = StreamingHttpResponse(exporting.lines_of(person), content_type="application/x-ndjson")
    response["Content-Disposition"] = f'attachment; filename="person-{person.pk}.jsonl"'
    return response


@require_POST
@never_cache
@only(*ADMINS)
def person_erase(request: HttpRequest, person_id: int) -> HttpResponse:
    person = queries.get_source_user_by_number(person_id)
    form = forms.EraseForm(request.POST)
    if form.is_valid():
        said = {name: form.cleaned_data[name] for name in ("answers", "refuse", "reason")}
        done = services.erase_person(source_user=person, actor=request.user, **said)
        messages.success(request, _("Erased. What learned from it is listed here."))
        return redirect("erasure", done.pk)
    context = {"person": person, "held": queries.held_of(person), "form": form}
    return render(request, "erasure/person.html", context, status=400)


@require_POST
@only(*ADMINS)
def person_allow(request: HttpRequest, person_id: int) -> HttpResponse:
    services.allow_again(source_user=queries.get_source_user_by_number(person_id), actor=request.user)
    messages.success(request, _("Intake takes their prompts again."))
    return redirect("erasures")


@require_POST
@only(*ADMINS)
def retention(request: HttpRequest) -> HttpResponse:
    form = forms.RetentionForm(request.POST)
    if not form.is_valid():
        raise Refusal(
            _("Keep prompts for 1 to {most} days, or leave it empty to keep them for ever.").format(
                most=services.MOST_DAYS
            )
        )
    services.set_retention(actor=request.user, **form.cleaned_data)
    messages.success(request, _("Saved. What is past its time is erased within the hour."))
    return redirect("erasures")
