"""Shares and their intervals as people read them."""

from django import template

register = template.Library()


@register.filter
def percent(rate: float | None) -> str:
    """0.7264 → "72.6 %"; a dash where nothing is known."""
    return "–" if rate is None else f"{100 * rate:.1f} %"


@register.filter
def interval(bounds: tuple | list | None) -> str:
    """(0.71, 0.742) → "71.0 % to 74.2 %"."""
    if not bounds or bounds[0] is None:
        return "too little for an interval"
    return f"{100 * bounds[0]:.1f} % to {100 * bounds[1]:.1f} %"
