"""The audit trail for admins."""

from __future__ import annotations

from dataclasses import asdict, fields

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from labeling.audit import queries
from labeling.people.access import ADMINS, only
from labeling.plots import csv_response


def asked_of(request: HttpRequest) -> queries.Asked:
    names = [field.name for field in fields(queries.Asked)]
    return queries.Asked(**{name: request.GET.get(name, "").strip()[:150] for name in names})


@require_GET
@only(*ADMINS)
def audit(request: HttpRequest) -> HttpResponse:
    asked = asked_of(request)
    context = {
        "page": queries.events_page(asked, after=request.GET.get("after")),
        "actions": queries.known_actions(),
        "kinds": queries.known_kinds(),
        **asdict(asked),
    }
    return render(request, "audit/audit.html", context)


@require_GET
@only(*ADMINS)
def audit_csv(request: HttpRequest) -> HttpResponse:
    asked = asked_of(request)
    queries.events(asked)  # a filter that is none is refused before the first line
    return csv_response(queries.COLUMNS, queries.rows_of(asked), name="audit")
