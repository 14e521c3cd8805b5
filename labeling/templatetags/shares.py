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
def measure(figure: dict) -> str:
    """A value with its interval: "72.6 % (71.0 % to 74.2 %)", "0.45 (0.41 to 0.49)"; a dash where nothing is known."""
    value, bounds = figure["value"], figure["ci95"]

    def write(number: float) -> str:
        return _percent(number) if figure["share"] else number_format(round(number, 2), 2)

    if value is None:
        return "–"
    if bounds[0] is None:
        return write(value)
    return _("{value} ({low} to {high})").format(value=write(value), low=write(bounds[0]), high=write(bounds[1]))


@register.filter
def interval(bounds: tuple | list | None) -> str:
    """(0.71, 0.742) → "71.0 % to 74.2 %"."""
    if not bounds or bounds[0] is None:
        return _("too little for an interval")
    return _("{low} to {high}").format(low=_percent(bounds[0]), high=_percent(bounds[1]))
