"""Pages about completions that name their maker: what waits, and the names that are looked for."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from labeling.blindness import queries, services
from labeling.people.access import ADMINS, STAFF, only
from labeling.people.models import User
from labeling.sampling.services import get_batch


@require_safe
@only(*STAFF)
def blindness(request: HttpRequest) -> HttpResponse:
    batch = get_batch(number) if (number := request.GET.get("batch")) else None
    page = queries.waiting_page(batch=batch and batch.pk, after=request.GET.get("after"))
    may_decide = request.user.role == User.Role.ADMIN
    context = {"page": page, "batch": batch, "terms": queries.waiting_terms(), "may_decide": may_decide}
    return render(request, "blindness/blindness.html", context)


@require_POST
@only(*ADMINS)
def decide(request: HttpRequest, completion_id) -> HttpResponse:
    services.decide_completion(completion_id=completion_id, outcome=request.POST.get("outcome", ""), actor=request.user)
    messages.success(request, _("Decided."))
    return redirect("blindness")


@require_POST
@only(*ADMINS)
def serve_term(request: HttpRequest) -> HttpResponse:
    count = services.allow_term(term=request.POST.get("term", "").replace("\x00", ""), actor=request.user)
    said = ngettext("%(count)d mark is allowed.", "%(count)d marks are allowed.", count) % {"count": count}
    messages.success(request, said)
    return redirect("blindness")


@require_safe
@only(*STAFF)
def terms(request: HttpRequest) -> HttpResponse:
    context = {
        "page": queries.terms_page(after=request.GET.get("after")),
        "may_change": request.user.role == User.Role.ADMIN,
        "longest": services.TERM_CHARACTERS,
    }
    return render(request, "blindness/terms.html", context)


@require_POST
@only(*ADMINS)
def term_add(request: HttpRequest) -> HttpResponse:
    _term, job = services.add_term(text=request.POST.get("text", ""), actor=request.user)
    messages.success(request, _("Added. This job looks at what labelers may still be given."))
    return redirect("job", job.pk)


@require_POST
@only(*ADMINS)
def term_switch(request: HttpRequest, term_id: int) -> HttpResponse:
    services.switch_term(term_id=term_id, active=request.POST.get("active") == "on", actor=request.user)
    return redirect("maker-terms")
