"""How the labelers' pages say times and kinds of work."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

from labeling.people.models import Sensitive

register = template.Library()


@register.filter
def working(seconds: int) -> str:
    """3723 → "1 h 2 min". Under a minute it says so."""
    minutes = int(seconds) // 60
    if not minutes:
        return _("under a minute") if seconds else _("0 min")
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


@register.filter
def kind_name(kind: str) -> str:
    """What there is to do in a task of this kind."""
    names = {"ranking": _("to rank"), "demonstration": _("to write")}
    return names.get(kind, kind)


@register.filter
def category_name(category: str) -> str:
    return str(dict(Sensitive.choices).get(category, category))


@register.simple_tag
def sensitive_categories() -> list[tuple[str, str]]:
    return Sensitive.choices
