"""The guidelines to read, and the admins' pages that publish them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from labeling.guidelines import forms, queries, services
from labeling.guidelines.models import Guideline
from labeling.markdown import to_html
from labeling.people.access import ADMINS, EVERYONE, LABELERS, STAFF, only
from labeling.refusals import Refusal


@require_safe
@never_cache
@only(*EVERYONE)
def newest(request: HttpRequest) -> HttpResponse:
    """The guidelines that hold; for HTMX (or any request with its header) their text alone, for a dialog."""
    return show(request, queries.newest_guideline())


@require_safe
@never_cache
@only(*EVERYONE)
def one(request: HttpRequest, number: int) -> HttpResponse:
    return show(request, queries.get_guideline(number))


def show(request: HttpRequest, guideline: Guideline | None) -> HttpResponse:
    held = queries.newest_guideline()
    context = {
        "guideline": guideline,
        "html": to_html(guideline.text) if guideline else "",
        "newest": held,
        "asks": guideline is not None
        and guideline == held
        and request.user.role in LABELERS
        and not queries.has_read(labeler=request.user, guideline=guideline),
    }
    name = "guidelines/_guideline.html" if request.htmx else "guidelines/guideline.html"
    return render(request, name, context)


@require_POST
@only(*LABELERS)
def read(request: HttpRequest, number: int) -> HttpResponse:
    services.read_guideline(labeler=request.user, number=number)
    messages.success(request, _("Thank you. The guidelines are one click away whenever you need them."))
    return redirect("work")


@require_safe
@only(*STAFF)
def versions(request: HttpRequest) -> HttpResponse:
    newest = queries.newest_guideline()
    context = {
        "page": queries.guidelines_page(after=request.GET.get("after")),
        "newest": newest,
        "missing": queries.not_read_by(newest) if newest else [],
    }
    return render(request, "guidelines/versions.html", context)


@require_http_methods(["GET", "POST"])
@only(*ADMINS)
def new(request: HttpRequest) -> HttpResponse:
    """The next version, begun from the one that holds. "Preview" shows it and stores nothing."""
    before = queries.newest_guideline()
    if request.method == "GET":
        start = {"title": before.title, "text": before.text} if before else {}
        return render(request, "guidelines/new.html", {"form": forms.GuidelineForm(initial=start)})
    form = forms.GuidelineForm(request.POST)
    if form.is_valid():
        if "preview" in request.POST:
            preview = to_html(form.cleaned_data["text"])
            return render(request, "guidelines/new.html", {"form": form, "preview": preview})
        try:
            services.publish_guideline(**form.cleaned_data, actor=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, _("Published. Every labeler reads it before their next task."))
            return redirect("guideline-versions")
    return render(request, "guidelines/new.html", {"form": form}, status=400)
