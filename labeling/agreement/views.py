from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from labeling.agreement import queries
from labeling.people.access import STAFF, only
from labeling.sampling.services import get_batch


@require_GET
@only(*STAFF)
def agreement(request: HttpRequest) -> HttpResponse:
    batch = get_batch(request.GET["batch"]) if request.GET.get("batch") else None
    context = {
        "batch": batch,
        "overall": queries.agreement(batch=batch),
        "groups": queries.agreement_by_group(batch=batch),
    }
    return render(request, "agreement/agreement.html", context)
