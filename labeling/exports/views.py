"""Pages of data sets: the list, a new one, its manifest, its files, and where a row comes from."""

from __future__ import annotations

import uuid

from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.background.models import Job
from labeling.exports import browsing, forms, queries, services, taint
from labeling.exports.downloads import send_file
from labeling.people.access import STAFF, only
from labeling.refusals import Refusal


@require_GET
@only(*STAFF)
def datasets(request: HttpRequest) -> HttpResponse:
    page = queries.page_of_datasets(after=request.GET.get("after"))
    context = {"page": page, "tainted": taint.tainted_ids(dataset.pk for dataset in page)}
    return render(request, "exports/datasets.html", context)


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
    context |= {"taint": taint.taint_of(whole), "rebuilt": taint.rebuilt_of(whole)}
    if request.htmx:
        return render(request, "exports/_dataset.html", context)
    row = request.GET.get("row", "").strip()
    if row and whole.content_hash:
        context |= {"row_id": row, "row": queries.row_origin(whole, row), "looked": True}
    return render(request, "exports/dataset.html", context)


@require_GET
@only(*STAFF)
def dataset_rows(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Its rows one after another, or those whose prompt has the words asked for."""
    found = services.get_dataset(dataset_id)
    whole = found.same_as or found
    context = {"dataset": whole, "asked": request.GET.get("q", "").strip()}
    try:
        context["page"] = browsing.page_of_rows(whole, words=context["asked"], after=request.GET.get("after"))
    except Refusal as refusal:
        return render(request, "exports/rows.html", context | {"problem": refusal.message}, status=refusal.status)
    return render(request, "exports/rows.html", context)


@require_GET
@only(*STAFF)
def dataset_compare(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """What is in it and not in another one, and the other way round; which one is asked first."""
    found = services.get_dataset(dataset_id)
    one = found.same_as or found
    context = {"dataset": one, "others": queries.others_like(one)}
    chosen = request.GET.get("with", "").strip()
    if not chosen:
        return render(request, "exports/compare.html", context)
    try:
        other = services.get_dataset(chosen)
        other = other.same_as or other
        context |= {"other": other, "shown": browsing.difference(one, other), "unlike": browsing.unlike(one, other)}
    except Refusal as refusal:
        return render(request, "exports/compare.html", context | {"problem": refusal.message}, status=refusal.status)
    if context["shown"].content:
        first, second = context["shown"].content["rows"]
        counts = context["shown"].content
        sides = [
            (one, counts["first"], browsing.rows_by_id(first)),
            (other, counts["second"], browsing.rows_by_id(second)),
        ]
        context |= {"sides": sides, "listed": browsing.LISTED}
    if request.htmx:
        return render(request, "exports/_difference.html", context)
    return render(request, "exports/compare.html", context)


@require_POST
@only(*STAFF)
def dataset_rebuild(request: HttpRequest, dataset_id: uuid.UUID) -> HttpResponse:
    made = services.rebuild_dataset(dataset=services.get_dataset(dataset_id), created_by=request.user)
    return redirect("dataset", made.pk)


@require_GET
@only(*STAFF)
def dataset_file(request: HttpRequest, dataset_id: uuid.UUID, name: str) -> FileResponse:
    """One file, streamed from disk."""
    found = services.get_dataset(dataset_id)
    return send_file(services.file_of(found.same_as or found, name))
