"""An applicant's way, and their name, on pages of features that know nothing of screening; and its figures."""

from __future__ import annotations

from django import template
from django.utils.formats import number_format

from labeling.people.models import User
from labeling.screening import queries

register = template.Library()


@register.inclusion_tag("screening/_progress.html")
def screening_of(user) -> dict:
    """How far an applicant is; nothing for everybody else."""
    own = queries.application_of(user) if user.is_applicant else None
    if own is None:
        return {"application": None}
    return {
        "application": own,
        "steps": queries.progress_of(own, person_id=user.pk),
        "decided": own.outcome in queries.FINAL,
    }


@register.filter
def gate_figure(number: float | None, gate: int) -> str:
    """0.75 → "75.0 %" in the first two gates, 5.5 → "5.50" in the third; a dash where nothing is known."""
    if number is None:
        return "–"
    return number_format(round(number, 2), 2) if gate == 3 else f"{number_format(round(100 * number, 1), 1)} %"


@register.filter
def shown_as(person: User) -> str:
    """How staff's pages about answers name somebody: applicants, who are judged without a name, by their code."""
    own = queries.application_of(person) if person.is_applicant else None
    return own.name if own else person.shown_name
