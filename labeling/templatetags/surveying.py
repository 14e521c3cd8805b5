"""Surveys on the queue page, which belongs to a feature that knows nothing of them, and their words."""

from __future__ import annotations

from django import template

from labeling.surveys.queries import invited_to
from labeling.surveys.wording import in_language, title_of

register = template.Library()


@register.inclusion_tag("surveys/_invitation.html", takes_context=True)
def survey_invitation(context, user) -> dict:
    """The round that `user` may take part in; nothing where there is none."""
    return {"round": invited_to(user), "csrf_token": context["csrf_token"]}


@register.filter
def survey_words(text: str) -> str:
    """A question or answer of a questionnaire in the reader's language."""
    return in_language(text)


@register.filter
def survey_title(name: str) -> str:
    """The title of a questionnaire, by its name."""
    return title_of(name)
