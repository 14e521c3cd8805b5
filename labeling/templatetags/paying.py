"""Pay on pages of features that know nothing of it, and how money and time of the ledger are said."""

from __future__ import annotations

from django import template

from labeling.pay import drawings, money, queries
from labeling.people.models import User
from labeling.templatetags.working import working

register = template.Library()


@register.filter
def money_in(amount: int, currency: str) -> str:
    """Minor units as the reader writes amounts, with the currency; a dash for none."""
    return "–" if amount is None else money.say(amount, currency)


@register.filter
def worked(seconds: int) -> str:
    """As `working`, also of time that is taken away."""
    return f"−{working(-seconds)}" if seconds < 0 else working(seconds)


@register.inclusion_tag("pay/_of_person.html")
def pay_of(person: User) -> dict:
    """Rate, balance, warnings and hours of one person; nothing for who is never paid."""
    earner = queries.earner(person, queries.read_period(None, None))
    if earner is None:
        return {"earner": None}
    return {
        "person": person,
        "earner": earner,
        "currency": queries.pay_settings().currency,
        "days": queries.WARNED_DAYS,
        "plot": drawings.of_weeks(queries.hours_by_week(person)),
    }


@register.inclusion_tag("pay/_warnings.html")
def pay_warnings() -> dict:
    """Who works without a rate or comes to less than the floor, and how many ask about their pay."""
    no_rate, below = queries.warned()
    return {"no_rate": no_rate, "below": below, "waiting": queries.waiting(), "days": queries.WARNED_DAYS}


@register.inclusion_tag("pay/_news.html")
def pay_news(person: User) -> dict:
    """That an answer about one's pay waits; nothing where none does."""
    return {"news": queries.has_news(person)}
