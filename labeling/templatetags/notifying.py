"""Messages on pages of features that know nothing of them: the navigation, the queue, a person's page."""

from __future__ import annotations

from django import template

from labeling.markdown import to_html
from labeling.notices import queries
from labeling.notices.forms import NoticeForm
from labeling.people.models import User

register = template.Library()


@register.simple_tag
def unread_messages(user: User) -> str:
    """How many messages wait for `user`, as the navigation writes it; empty where none does."""
    unread = queries.standing_of(user).unread
    return "" if not unread else str(unread) if unread <= queries.COUNTED else f"{queries.COUNTED}+"


@register.inclusion_tag("notices/_important.html", takes_context=True)
def important_message(context, user: User) -> dict:
    """The important message that `user` has not read; nothing where there is none."""
    notice = queries.important_for(user)
    return {
        "notice": notice,
        "html": to_html(notice.text) if notice else "",
        "csrf_token": context["csrf_token"],
    }


@register.inclusion_tag("notices/_to_person.html", takes_context=True)
def message_to(context, person: User) -> dict:
    """The form that writes to `person`."""
    return {"person": person, "form": NoticeForm(to=person.pk), "csrf_token": context["csrf_token"]}
