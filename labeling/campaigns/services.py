"""Start blind comparisons of two models."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.audit.services import record
from labeling.campaigns.models import Campaign
from labeling.intake.models import Prompt
from labeling.people.models import User
from labeling.refusals import Conflict, Refusal
from labeling.sampling.choosing import Selection
from labeling.sampling.models import Endpoint
from labeling.sampling.services import create_batch, start_sampling

MOST_EACH = 13  # a ranking has at most 26 completions


def start_campaign(
    *,
    name: str,
    baseline: Endpoint,
    candidate: Endpoint,
    prompts: Selection | Iterable[Prompt] | None = None,
    each: int = 2,
    overlap: int = 1,
    groups: Iterable[str] = (User.Group.TRAINING, User.Group.HELD_OUT),
    priority: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    max_tokens: int = 256,
    seed: int = 0,
    hold_named: bool = True,
    created_by: User | None = None,
) -> Campaign:
    """A new campaign whose batch is being sampled: `each` completions of each model for every prompt, ranked together.

    Nobody who ranks learns that two models are compared. The answers never train a model. Refusal with a sentence where
    the parts do not fit; Conflict where the name is taken.
    """
    if baseline.pk == candidate.pk:
        raise Refusal(_("A campaign compares two models; choose another candidate or baseline."))
    if isinstance(each, bool) or not isinstance(each, int) or not 1 <= each <= MOST_EACH:
        raise Refusal(
            _("Each model gives from 1 to {most_each} completions of a prompt, not {each}.").format(
                most_each=MOST_EACH, each=str(each)[:20]
            )
        )
    if Campaign.objects.filter(name=name).exists():
        raise Conflict(_("There is a campaign called {name} already; choose another name.").format(name=name))
    batch = create_batch(
        name=name,
        endpoints=[baseline, candidate],
        prompts=prompts,
        k=2 * each,
        overlap=overlap,
        groups=groups,
        priority=priority,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
        evaluation=True,
        # Prompts of earlier campaigns and rounds, with completions that nobody has seen.
        again=True,
        hold_named=hold_named,
        created_by=created_by,
    )
    try:
        with transaction.atomic(durable=True):
            campaign = Campaign.objects.create(
                name=name, batch=batch, baseline=baseline, candidate=candidate, created_by=created_by
            )
            start_sampling(batch=batch, actor=created_by)
            record(
                actor=created_by,
                action="campaign.started",
                subject=campaign,
                baseline=baseline.name,
                candidate=candidate.name,
            )
    except IntegrityError:
        raise Conflict(_("There is a campaign called {name} already; choose another name.").format(name=name)) from None
    return campaign
