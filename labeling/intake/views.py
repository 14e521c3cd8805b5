"""Pages about sources: the list, one with its figures and keys. A key is shown once."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.intake import forms, queries
from labeling.intake import sources as services
from labeling.intake.models import Source
from labeling.people.access import ADMINS, STAFF, only
from labeling.refusals import Refusal


@require_GET
@only(*STAFF)
def sources(request: HttpRequest) -> HttpResponse:
    page = queries.sources_page(after=request.GET.get("after"))
    return render(request, "intake/sources.html", {"page": page})


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def source_new(request: HttpRequest) -> HttpResponse:
    form = forms.SourceForm(request.POST or None)
    status = 400 if request.method == "POST" else 200
    if form.is_valid():
        try:
            made = services.create_source(actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
            status = refusal.status
        else:
            messages.success(request, _("The source is there; make a key for each program that sends."))
            return redirect("source", made.pk)
    return render(request, "intake/source_new.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def source(request: HttpRequest, source_id: int) -> HttpResponse:
    """One source; an admin changes it."""
    found = services.get_source(source_id)
    if request.method == "GET":
        return source_page(request, found)
    return source_change(request, found)


@only(*ADMINS)
def source_change(request: HttpRequest, found: Source) -> HttpResponse:
    form = forms.SourceForm(request.POST, fixed=services.has_users(found), initial=initial(found))
    status = 400
    if form.is_valid():
        try:
            services.change_source(source_id=found.pk, actor=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
            status = refusal.status
        else:
            messages.success(request, _("Saved."))
            return redirect("source", found.pk)
    return source_page(request, found, form=form, status=status)


@require_POST
@never_cache
@only(*ADMINS)
def source_key(request: HttpRequest, source_id: int) -> HttpResponse:
    """A new key, on the page that shows it once."""
    found = services.get_source(source_id)
    form = forms.KeyForm(request.POST)
    if not form.is_valid():
        return source_page(request, found, key_form=form, status=400)
    row, key = services.create_key(source_id=source_id, name=form.cleaned_data["name"], actor=request.user)
    return source_page(request, found, new_key=key, new_key_name=row.name)


@require_POST
@only(*ADMINS)
def source_key_revoke(request: HttpRequest, source_id: int, key_id) -> HttpResponse:
    services.revoke_key(source_id=source_id, key_id=key_id, actor=request.user)
    messages.success(request, _("Revoked; whatever used it is refused from now on."))
    return redirect("source", source_id)


def initial(found: Source) -> dict:
    return {name: getattr(found, name) for name in services.FIELDS}


def source_page(request: HttpRequest, found: Source, *, status: int = 200, **context: object) -> HttpResponse:
    fixed = services.has_users(found)
    context = {
        "source": found,
        "fixed": fixed,
        "form": forms.SourceForm(initial=initial(found), fixed=fixed),
        "key_form": forms.KeyForm(),
        "keys": queries.keys_of(found),
        "figures": queries.source_figures(found),
        **context,
    }
    return render(request, "intake/source.html", context, status=status)
