"""The tour on pages of features that know nothing of it: the queue, and a person's page."""

from __future__ import annotations

from django import template

from labeling.people.models import User
from labeling.practice.queries import standing_of

register = template.Library()


@register.inclusion_tag("practice/_invite.html")
def tour_invitation(user: User) -> dict:
    """How to begin, go on with or repeat the tour."""
    return {"standing": standing_of(user)}


@register.inclusion_tag("practice/_person.html")
def tour_of(person: User) -> dict:
    """Whether and when somebody took the tour."""
    return {"standing": standing_of(person)}
