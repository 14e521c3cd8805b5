"""Pages of campaigns."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from labeling.campaigns import forms, queries, services
from labeling.people.access import STAFF, only
from labeling.refusals import Refusal
from labeling.sampling.queries import active_endpoints, add_counts


@require_GET
@only(*STAFF)
def campaign_list(request: HttpRequest) -> HttpResponse:
    page = queries.campaigns_page(after=request.GET.get("after"))
    for campaign in page:
        campaign.win_rate = queries.win_rate(campaign)
        campaign.simulated = queries.judged_by_programs_alone(campaign)
    return render(request, "campaigns/campaigns.html", {"page": page})


@require_http_methods(["GET", "POST"])
@only(*STAFF)
def campaign_new(request: HttpRequest) -> HttpResponse:
    initial = {name: request.GET[name] for name in ("baseline", "candidate") if name in request.GET}
    form = forms.NewCampaignForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            campaign = services.start_campaign(created_by=request.user, **form.asked())
        except Refusal as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(
                request,
                _("{campaign} is being sampled; its tasks open as they are filled.").format(campaign=campaign.name),
            )
            return redirect("campaign", campaign.pk)
    context = {"form": form, "enough": active_endpoints().count() > 1}
    return render(request, "campaigns/campaign_new.html", context, status=400 if form.errors else 200)


@require_GET
@only(*STAFF)
def campaign_detail(request: HttpRequest, campaign_id) -> HttpResponse:
    campaign = queries.get_campaign(campaign_id)
    add_counts([campaign.batch])
    context = {"campaign": campaign, "counts": campaign.batch.counts, "result": queries.result(campaign)}
    name = "campaigns/_campaign_live.html" if request.htmx else "campaigns/campaign.html"
    return render(request, name, context)
