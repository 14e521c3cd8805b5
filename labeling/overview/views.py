"""The first page after signing in."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from labeling.overview import queries
from labeling.people.access import EVERYONE, only
from labeling.people.models import User


@require_GET
@only(*EVERYONE)
def home(request: HttpRequest) -> HttpResponse:
    """Labelers go straight to their work; everybody else sees where the loop stands and what comes next."""
    if request.user.role == User.Role.LABELER:
        return redirect("work")
    is_admin = request.user.role == User.Role.ADMIN
    context = {
        "stats": queries.stats(),
        # Admins do not rank themselves, so the link to the work is not for them.
        "steps": [step for step in queries.next_steps(for_admin=is_admin) if not (is_admin and step.page == "work")],
        "failed": queries.failed_jobs(),
    }
    return render(request, "overview/home.html", context)
