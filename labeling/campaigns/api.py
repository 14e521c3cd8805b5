"""campaigns/: what the pages do, for programs."""

from __future__ import annotations

from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.api import IsResearcher, object_body
from labeling.campaigns import queries, services
from labeling.campaigns.models import Campaign
from labeling.refusals import NotFound, Refusal
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Endpoint

OBJECT = OpenApiTypes.OBJECT
WHOLE = {"each", "overlap", "priority", "max_tokens", "seed"}
SHARES = {"temperature", "top_p"}
LISTS = {"groups", "splits", "sources", "use_cases"}
FIELDS = {"name", "baseline", "candidate", "count", *WHOLE, *SHARES, *LISTS}


def campaign_json(campaign: Campaign) -> dict:
    return {
        "id": str(campaign.pk),
        "name": campaign.name,
        "batch": campaign.batch_id,
        "state": campaign.batch.state,
        "baseline": campaign.baseline.name,
        "candidate": campaign.candidate.name,
        "created_at": campaign.created_at.isoformat(),
    }


class Campaigns(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(parameters=[OpenApiParameter("after", str)], responses=OBJECT)
    def get(self, request: Request) -> Response:
        """Campaigns, newest first, 50 at a time."""
        page = queries.campaigns_page(after=request.GET.get("after"))
        return Response({"results": [campaign_json(one) for one in page], "next": page.next})

    @extend_schema(request=OBJECT, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """Start a campaign: `name`, `baseline` and `candidate` (endpoints by name); prompts by `splits`, `sources`,
        `use_cases` and `count`; `each`, `overlap`, `groups`, `temperature`, `top_p`, `max_tokens`, `seed`."""
        asked = read_campaign(object_body(request.data))
        campaign = services.start_campaign(created_by=request.user, **asked)
        return Response(campaign_json(campaign), status=201)


class OneCampaign(APIView):
    permission_classes = [IsResearcher]

    @extend_schema(responses=OBJECT)
    def get(self, request: Request, reference: str) -> Response:
        """A campaign by id or name, with its win rate so far."""
        campaign = queries.get_campaign(reference)
        return Response(campaign_json(campaign) | queries.result(campaign))


def read_campaign(body: dict) -> dict:
    """The arguments of `start_campaign`; Refusal for what is missing, unknown or of the wrong type."""
    if unknown := set(body) - FIELDS:
        raise Refusal(
            _("Unknown field {unknown!r}; a campaign has {fields}.").format(
                unknown=sorted(unknown)[0][:60], fields=", ".join(sorted(FIELDS))
            )
        )
    for name in ("name", "baseline", "candidate"):
        if not isinstance(body.get(name), str):
            raise Refusal(_("`{name}` must be a string.").format(name=name))
    for name in (WHOLE | {"count"}) & set(body):
        if isinstance(body[name], bool) or not isinstance(body[name], int):
            raise Refusal(_("`{name}` must be a whole number.").format(name=name))
    for name in SHARES & set(body):
        if isinstance(body[name], bool) or not isinstance(body[name], int | float):
            raise Refusal(_("`{name}` must be a number.").format(name=name))
    for name in LISTS & set(body):
        if not isinstance(body[name], list) or not all(isinstance(entry, str) for entry in body[name]):
            raise Refusal(_("`{name}` must be a list of strings.").format(name=name))
    chosen = {name: tuple(body[name]) for name in ("splits", "sources", "use_cases") if name in body}
    given = {name: body[name] for name in (*WHOLE, *SHARES, "groups") if name in body}
    return {
        "name": body["name"],
        "baseline": _endpoint(body["baseline"]),
        "candidate": _endpoint(body["candidate"]),
        "prompts": Selection(count=body.get("count"), **chosen),
        **given,
    }


def _endpoint(name: str) -> Endpoint:
    endpoint = Endpoint.objects.filter(name=name).first()
    if endpoint is None:
        raise NotFound(_("There is no endpoint {name!r}.").format(name=name[:80]))
    return endpoint
