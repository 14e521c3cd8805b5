"""The audit trail for admins."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from labeling.audit import queries
from labeling.people.access import ADMINS, only


@require_GET
@only(*ADMINS)
def audit(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:64] for name in ("action", "subject_type", "subject_id")}
    page = queries.events_page(**asked, after=request.GET.get("after"))
    return render(request, "audit/audit.html", {"page": page, **asked})
