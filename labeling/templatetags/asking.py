"""The labeler's own questions on the queue page, which belongs to a feature that knows nothing of questions."""

from __future__ import annotations

from django import template

from labeling.questions.queries import own_questions

register = template.Library()
RECENT = 5


@register.inclusion_tag("questions/_own.html")
def my_questions(user) -> dict:
    """The latest threads of `user` with whether an answer waits; nothing where there are none."""
    return {"own": own_questions(user, limit=RECENT)}
