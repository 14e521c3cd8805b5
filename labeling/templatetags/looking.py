"""Second looks on pages of features that know nothing of them: the queue, and the task that is looked at again."""

from __future__ import annotations

from django import template

from labeling.label_errors import queries, services

register = template.Library()
SHOWN = 20


@register.inclusion_tag("label_errors/_waiting_looks.html")
def my_second_looks(user) -> dict:
    """Answers that `user` is asked to look at again; nothing where there are none."""
    found = list(queries.waiting_looks_of(user)[: SHOWN + 1])
    return {"looks": found[:SHOWN], "more": len(found) > SHOWN}


@register.inclusion_tag("label_errors/_look_again.html", takes_context=True)
def look_again(context, lease) -> dict:
    """Above a task that its labeler is asked to look at again: that they may keep their answer. Nothing of why."""
    # A practice task has no lease.
    look = queries.waiting_look_at(lease) if getattr(lease, "sent_back", False) else None
    return {
        "look": look,
        "lease": lease,
        "note_characters": services.KEPT_CHARACTERS,
        "csrf_token": context["csrf_token"],
    }
