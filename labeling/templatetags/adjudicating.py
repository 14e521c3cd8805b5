"""Disagreement on pages of features that know nothing of it: the task of who decides, and a batch."""

from __future__ import annotations

from django import template

from labeling.adjudication import queries, services
from labeling.adjudication.models import AdjudicationCase, AdjudicationRule
from labeling.leasing.models import Lease, Task
from labeling.sampling.models import Batch, BatchItem

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


@register.inclusion_tag("adjudication/_of_item.html")
def adjudication_of(item: BatchItem) -> dict:
    """Where the answers to an item's task are compared, and where it is sent to somebody by hand; nothing before it is
    a task of ranking."""
    task = Task.objects.filter(item=item, kind=Batch.Kind.RANKING).select_related("batch", "item__prompt").first()
    case = AdjudicationCase.objects.filter(pk=task.pk).first() if task else None
    return {"task": task, "case": case, "sendable": task is not None and services.why_not_sent(task, case) is None}


@register.filter
def state_name(state: str) -> str:
    return str(queries.State(state).label)


@register.filter
def tiers(said: list[list[str]]) -> str:
    """[["B"], ["A", "C"]] → "B > A = C"."""
    return " > ".join(" = ".join(letters) for letters in said)
