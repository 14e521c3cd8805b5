"""The quality reports on pages of features that know nothing of them: a person's."""

from __future__ import annotations

from django import template

from labeling.people.models import User
from labeling.quality import queries

register = template.Library()


@register.inclusion_tag("quality/_person.html")
def quality_of(person: User) -> dict:
    """Each report about one labeler, in a table; nothing about whoever never ranked or wrote."""
    return {"person": person, "found": queries.reports_of(person)}
