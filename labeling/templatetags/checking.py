"""Hidden checks on the pages of features that know nothing of them: the overview's and a person's."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

from labeling.checks import queries
from labeling.people.models import User

register = template.Library()
SHOWN = 5


@register.inclusion_tag("checks/_waiting.html")
def check_alerts(user: User) -> dict:
    """Alerts that nobody has acknowledged; nothing where there are none."""
    found = list(queries.alerts_waiting()[: SHOWN + 1])
    return {"alerts": found[:SHOWN], "more": len(found) > SHOWN}


@register.inclusion_tag("checks/_person.html", takes_context=True)
def checks_of(context, person: User, user: User) -> dict:
    """A labeler's latest week and alerts; nothing about whoever answered no check."""
    weeks = queries.chart_of(person) if person.role == User.Role.LABELER else []
    return {
        "person": person,
        "user": user,
        "latest": weeks[-1] if weeks else None,
        "alerts": queries.alerts_page(after=None, labeler=person) if weeks else [],
        "csrf_token": context["csrf_token"],
    }


@register.filter
def check_reason(name: str) -> str:
    """Why a week is out of control."""
    said = {
        "limit": _("below the control limit"),
        "drift": _("drifting down"),
        "level": _("below what is asked for"),
    }
    return said.get(name, name)
