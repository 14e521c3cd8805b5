"""Pages of endpoints and batches. No page waits for a model: jobs do, and pages show what they wrote down."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling.background.models import Job
from labeling.people.access import STAFF, only
from labeling.refusals import NotFound, Refusal
from labeling.sampling import briefs, forms, queries, services


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def endpoints(request: HttpRequest) -> HttpResponse:
    form = forms.EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint = services.add_endpoint(created_by=request.user, **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            services.ask_for_check(endpoint=endpoint, actor=request.user)
            return redirect("endpoints")
    context = {"form": form, "endpoints": queries.list_endpoints()}
    return render(request, "sampling/endpoints.html", context, status=400 if form.errors else 200)


@require_GET
@only(*STAFF)
def endpoint(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    """One row of the list, which asks for itself while its server is looked at."""
    context = {"endpoint": services.get_endpoint(endpoint_id)}
    return render(request, "sampling/_endpoint.html", context) if request.htmx else redirect("endpoints")


@require_POST
@only(*STAFF)
def endpoint_check(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    found = services.get_endpoint(endpoint_id)
    services.ask_for_check(endpoint=found, actor=request.user)
    found.refresh_from_db()
    return render(request, "sampling/_endpoint.html", {"endpoint": found}) if request.htmx else redirect("endpoints")


@require_POST
@only(*STAFF)
def endpoint_switch(request: HttpRequest, endpoint_id: int) -> HttpResponse:
    found = services.get_endpoint(endpoint_id)
    services.set_endpoint_active(endpoint=found, active=request.POST.get("active") == "on", actor=request.user)
    return redirect("endpoints")


@require_GET
@only(*STAFF)
def batches(request: HttpRequest) -> HttpResponse:
    return render(request, "sampling/batches.html", {"page": queries.page_of_batches(after=request.GET.get("after"))})


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def batch_new(request: HttpRequest) -> HttpResponse:
    form = forms.BatchForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_batch(created_by=request.user, **form.batch())
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            services.start_sampling(batch=made, actor=request.user)
            return redirect("batch", made.pk)
    context = {"form": form, "has_endpoint": queries.active_endpoints().exists()}
    return render(request, "sampling/batch_new.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def batch_new_prompts(request: HttpRequest) -> HttpResponse:
    """A batch of prompts that labelers write."""
    form = forms.PromptBatchForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = briefs.create_prompt_batch(created_by=request.user, **form.batch())
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            services.start_sampling(batch=made, actor=request.user)
            return redirect("batch", made.pk)
    return render(request, "sampling/batch_new_prompts.html", {"form": form}, status=400 if form.errors else 200)


@require_GET
@only(*STAFF)
def batch(request: HttpRequest, batch_id: int) -> HttpResponse:
    found = services.get_batch(batch_id)
    queries.add_counts([found])
    job = queries.sampling_job(found)
    context = {"batch": found, "job": job, "busy": job is not None and job.state in Job.OPEN}
    context["named"] = queries.named_waiting(found)
    if request.htmx:
        return render(request, "sampling/_progress.html", context)
    show = request.GET.get("show", "")
    context |= {
        "page": queries.page_of_items(found, show=show, after=request.GET.get("after")),
        "show": show,
        "shows": [
            ("", _("All")),
            ("waiting", _("Waiting")),
            ("filled", _("Filled")),
            ("failed", _("Failed")),
            ("noted", _("Merged")),
        ],
        "spread": queries.k_distribution(found),
        "merged": queries.merged_count(found),
        "strategies": queries.strategies_of(found),
        "endpoints": found.endpoints.order_by("name"),
    }
    return render(request, "sampling/batch.html", context)


@require_GET
@only(*STAFF)
def batch_item(request: HttpRequest, batch_id: int, item_id: int) -> HttpResponse:
    found = services.get_batch(batch_id)
    item = queries.item_with_provenance(found, item_id)
    if item is None:
        raise NotFound(_("{found} has no such prompt.").format(found=found.name))
    return render(request, "sampling/item.html", {"batch": found, "item": item})


@require_POST
@only(*STAFF)
def batch_sample(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Go on with what waits, or try again what failed."""
    found = services.get_batch(batch_id)
    if request.POST.get("failed"):
        services.retry_failed(batch=found, actor=request.user)
    else:
        services.start_sampling(batch=found, actor=request.user)
    messages.success(request, _("Sampling is queued."))
    return redirect("batch", found.pk)
