"""Shares and their intervals as people read them."""

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

register = template.Library()


def _percent(share: float) -> str:
    return f"{number_format(round(100 * share, 1), 1)} %"


@register.filter
def percent(rate: float | None) -> str:
    """0.7264 → "72.6 %"; a dash where nothing is known."""
    return "–" if rate is None else _percent(rate)


@register.filter
def interval(bounds: tuple | list | None) -> str:
    """(0.71, 0.742) → "71.0 % to 74.2 %"."""
    if not bounds or bounds[0] is None:
        return _("too little for an interval")
    return _("{low} to {high}").format(low=_percent(bounds[0]), high=_percent(bounds[1]))
