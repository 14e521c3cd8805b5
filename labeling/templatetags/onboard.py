"""Onboarding on pages of features that know nothing of it: the queue, and a person's page."""

from __future__ import annotations

from django import template

from labeling.onboarding.queries import progress_of
from labeling.people.models import User

register = template.Library()


@register.inclusion_tag("onboarding/_progress.html")
def onboarding_progress(user: User) -> dict:
    """The steps of a newcomer; nothing for anybody else."""
    return {"progress": progress_of(user)}


@register.inclusion_tag("onboarding/_person.html", takes_context=True)
def onboarding_of(context, person: User) -> dict:
    """How far somebody is, and the way to ask them to begin."""
    return {"person": person, "csrf_token": context["csrf_token"]}
