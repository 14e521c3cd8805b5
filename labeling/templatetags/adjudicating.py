"""Disagreement on pages of features that know nothing of it: the task of who decides, and a batch."""

from __future__ import annotations

from django import template

from labeling.adjudication import queries
from labeling.adjudication.models import AdjudicationRule
from labeling.leasing.models import Lease
from labeling.sampling.models import Batch

register = template.Library()


@register.inclusion_tag("adjudication/_answers.html", takes_context=True)
def labelers_answers(context, lease: Lease) -> dict:
    """Beside the task of a researcher who decides: the labelers' answers once they were revealed, else the way there.
    Completions have the letters that this researcher sees."""
    task = lease.task
    shown = queries.is_revealed(lease)
    completions = queries.completions_of(task, lease.order_shown) if shown else []
    return {
        "lease": lease,
        "shown": shown,
        "answers": queries.answers_side_by_side(task, completions) if shown else [],
        "csrf_token": context["csrf_token"],
    }


@register.inclusion_tag("adjudication/_rule.html")
def adjudication_rule(batch: Batch) -> dict:
    """What happens where labelers of `batch` disagree."""
    rule, own = queries.rule_of(batch)
    return {"batch": batch, "rule": rule, "own": own, "policy": AdjudicationRule.Policy(rule.policy).label}


@register.filter
def state_name(state: str) -> str:
    return str(queries.State(state).label)


@register.filter
def tiers(said: list[list[str]]) -> str:
    """[["B"], ["A", "C"]] → "B > A = C"."""
    return " > ".join(" = ".join(letters) for letters in said)
