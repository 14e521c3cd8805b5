"""Pages about jobs: the list, and one job live."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from labeling.background import queries, services
from labeling.background.models import Job
from labeling.people.access import STAFF, only


@require_GET
@only(*STAFF)
def jobs(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "")[:40] for name in ("state", "kind")}
    page = queries.jobs_page(**asked, after=request.GET.get("after"))
    template = "background/_jobs.html" if request.htmx else "background/jobs.html"
    return render(request, template, {"page": page, "states": Job.State.values, **asked})


@require_GET
@only(*STAFF)
def job(request: HttpRequest, job_id) -> HttpResponse:
    template = "background/_job.html" if request.htmx else "background/job.html"
    return render(request, template, {"job": services.get_job(job_id)})


@require_POST
@only(*STAFF)
def job_cancel(request: HttpRequest, job_id) -> HttpResponse:
    services.cancel(job=services.get_job(job_id), actor=request.user)
    messages.success(request, _("The job was asked to end."))
    return redirect("job", job_id)


@require_POST
@only(*STAFF)
def job_retry(request: HttpRequest, job_id) -> HttpResponse:
    services.retry(job=services.get_job(job_id), actor=request.user)
    messages.success(request, _("The job is queued again."))
    return redirect("job", job_id)
