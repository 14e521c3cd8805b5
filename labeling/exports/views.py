"""Pages of data sets: the list, a new one, its manifest, its files, and where a row comes from."""

from __future__ import annotations

import uuid

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from labeling.background.models import Job
from labeling.exports import forms, queries, services
from labeling.exports.downloads import send_file
from labeling.people.access import STAFF, only
from labeling.refusals import Refusal


@require_GET
@only(*STAFF)
def datasets(request: HttpRequest) -> HttpResponse:
    page = queries.page_of_datasets(after=request.GET.get("after"))
    return render(request, "exports/datasets.html", {"page": page})


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def dataset_new(request: HttpRequest) -> HttpResponse:
    initial = {"kind": request.GET.get("kind", "comparisons")}
    form = forms.DatasetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            dataset = services.request_dataset(created_by=request.user, **form.request())
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect("dataset", dataset.pk)
    return render(request, "exports/dataset_new.html", {"form": form}, status=400 if form.errors else 200)


@require_GET
@only(*STAFF)
def dataset(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    found = services.get_dataset(dataset_id)
    if found.same_as_id and not request.htmx:
        return redirect("dataset", found.same_as_id)
    whole = found.same_as or found
    busy = not whole.content_hash and found.job is not None and found.job.state in Job.OPEN
    context = {"dataset": whole, "asked": found, "job": found.job, "busy": busy}
    if request.htmx:
        return render(request, "exports/_dataset.html", context)
    row = request.GET.get("row", "").strip()
    if row and whole.content_hash:
        context |= {"row_id": row, "row": queries.row_origin(whole, row), "looked": True}
    return render(request, "exports/dataset.html", context)


@require_GET
@only(*STAFF)
def dataset_file(request: HttpRequest, dataset_id: uuid.UUID, name: str) -> FileResponse:
    """One file, streamed from disk."""
    found = services.get_dataset(dataset_id)
    return send_file(services.file_of(found.same_as or found, name))
