"""Campaigns and what came out of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from itertools import groupby

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from labeling.campaigns.models import Campaign
from labeling.campaigns.statistics import BASELINE, CANDIDATE, Score, WinRate, score_ranking
from labeling.campaigns.statistics import win_rate as rate_of
from labeling.paging import Page, keyset_page
from labeling.people.models import User
from labeling.rankings.models import Judgment, Ranking
from labeling.refusals import NotFound
from labeling.sampling.models import Provenance

CHUNK = 5000  # judgments read at a time


def campaigns_page(*, after: str | None = None) -> Page:
    campaigns = Campaign.objects.select_related("batch", "baseline", "candidate", "created_by")
    return keyset_page(campaigns, order=("-created_at", "-id"), after=after)


def get_campaign(reference: object) -> Campaign:
    """A campaign by its id or its name; NotFound where there is none."""
    try:
        query = Q(pk=uuid.UUID(str(reference)))
    except ValueError:
        query = Q(name=str(reference))
    campaigns = Campaign.objects.select_related("batch", "baseline", "candidate", "created_by")
    campaign = campaigns.filter(query).first()
    if campaign is None:
        raise NotFound(_("There is no campaign {reference!r}.").format(reference=str(reference)[:80]))
    return campaign


def win_rate(campaign: Campaign, *, simulated: bool | None = None) -> WinRate:
    """How the candidate fares, by the newest revision of every ranking.

    People's rankings alone with `simulated` False, programs' alone with True; None takes people's where there are any.
    """
    if simulated is None:
        simulated = judged_by_programs_alone(campaign)
    return rate_of(_scores(campaign, simulated=simulated))


def judged_by_programs_alone(campaign: Campaign) -> bool:
    """Whether only simulated labelers have ranked so far."""
    rankings = Ranking.objects.filter(adjudicates=False, task__batch=campaign.batch)
    people = rankings.exclude(group=User.Group.SIMULATED).exists()
    return not people and rankings.exists()


def _scores(campaign: Campaign, *, simulated: bool) -> Iterator[list[Score]]:
    writers = _writers(campaign)
    rankings = Ranking.objects.filter(adjudicates=False, task__batch=campaign.batch, replaced_by=None)
    own = Q(group=User.Group.SIMULATED)
    rows = (
        Judgment.objects.filter(
            rank__isnull=False,
            ranking__outcome=Ranking.Outcome.RANKED,
            ranking__in=rankings.filter(own if simulated else ~own),
        )
        .order_by("ranking__task__item__prompt", "ranking")
        .values_list("ranking__task__item__prompt", "ranking", "completion", "rank")
        .iterator(chunk_size=CHUNK)
    )
    for _prompt, of_prompt in groupby(rows, key=lambda row: row[0]):
        yield [
            score_ranking((rank, writers.get(completion, frozenset())) for _, _, completion, rank in judgments)
            for _ranking, judgments in groupby(of_prompt, key=lambda row: row[1])
        ]


def _writers(campaign: Campaign) -> dict[uuid.UUID, frozenset[str]]:
    """Who wrote each completion of the campaign: one of the two models, or both where their texts are the same."""
    names = {campaign.candidate_id: CANDIDATE, campaign.baseline_id: BASELINE}
    rows = Provenance.objects.filter(completion__item__batch=campaign.batch, endpoint__in=names)
    found: dict[uuid.UUID, frozenset[str]] = {}
    for completion, endpoint in rows.values_list("completion", "endpoint").iterator(chunk_size=CHUNK):
        found[completion] = found.get(completion, frozenset()) | {names[endpoint]}
    return found


def result(campaign: Campaign) -> dict:
    """The campaign's figures as JSON, with who judged."""
    simulated = judged_by_programs_alone(campaign)
    groups = Ranking.objects.filter(adjudicates=False, task__batch=campaign.batch, replaced_by=None).order_by("group")
    return {
        "win_rate": win_rate(campaign, simulated=simulated).as_json(),
        "judged_by": "simulated labelers" if simulated else "people",
        "rankings_by_group": dict(groups.values_list("group").annotate(Count("pk"))),
    }
