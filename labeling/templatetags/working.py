"""How the labelers' pages say times and kinds of work."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

from labeling.intake.models import UseCase
from labeling.people.models import Sensitive
from labeling.sampling.models import BriefForm

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
    names = {
        "ranking": _("to rank"),
        "demonstration": _("to write"),
        "dialogue": _("to write as a dialogue"),
        "prompt": _("to write a prompt"),
        "review": _("to review"),
    }
    return names.get(kind, kind)


@register.filter
def use_case_name(use_case: str) -> str:
    return str(dict(UseCase.choices).get(use_case, use_case))


@register.filter
def brief_name(brief: dict) -> str:
    """A brief in a line: its stated use, or the form and use case that are wanted."""
    said = [str(dict(BriefForm.choices).get(brief["form"], "")), use_case_name(brief["use_case"])]
    return brief["statement"] or ", ".join(filter(None, said))


@register.filter
def category_name(category: str) -> str:
    return str(dict(Sensitive.choices).get(category, category))


@register.simple_tag
def sensitive_categories() -> list[tuple[str, str]]:
    return Sensitive.choices
