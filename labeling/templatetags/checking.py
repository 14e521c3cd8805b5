"""Hidden checks on the pages of features that know nothing of them: the overview's and a person's."""

from __future__ import annotations

from django import template
from django.utils.translation import gettext as _

from labeling.checks import queries
from labeling.checks.drawings import TITLES, say_points
from labeling.checks.models import CheckAlert, Measure
from labeling.checks.statistics import Week
from labeling.people.models import User
from labeling.templatetags.shares import percent

register = template.Library()
SHOWN = 5


@register.inclusion_tag("checks/_waiting.html")
def check_alerts(user: User) -> dict:
    """Alerts that nobody has acknowledged; nothing where there are none."""
    found = list(queries.alerts_waiting()[: SHOWN + 1])
    return {"alerts": found[:SHOWN], "more": len(found) > SHOWN}


@register.inclusion_tag("checks/_person.html", takes_context=True)
def checks_of(context, person: User, user: User) -> dict:
    """A labeler's latest week and alerts; nothing about whoever answered no check."""
    charts = queries.charts_of(person) if person.role == User.Role.LABELER else {}
    return {
        "person": person,
        "user": user,
        "latest": [(TITLES[measure], measure, weeks[-1]) for measure, weeks in charts.items()],
        "alerts": queries.alerts_page(after=None, labeler=person) if charts else [],
        "csrf_token": context["csrf_token"],
    }


@register.filter
def check_reason(name: str) -> str:
    """Why a week is out of control."""
    said = {
        "limit": _("beyond the control limit"),
        "drift": _("drifting"),
        "level": _("below what is asked for"),
    }
    return said.get(name, name)


@register.filter
def kind_word(person: User) -> str:
    """What may be sent to them, in their language."""
    return queries.kind_word(person)


@register.filter
def check_value(value: float | None, measure: str) -> str:
    """A figure of a chart: points where it is one of leniency, a share of the others; a dash where there is none."""
    if value is None:
        return "–"
    return say_points(value) if measure == Measure.LENIENCY else percent(value)


@register.filter
def check_week(week: Week, measure: str) -> str:
    """One week of a chart in a sentence."""
    return _("Week from {week}: {value}, where {usual} is usual.").format(
        week=week.week.isoformat(),
        value=check_value(week.value, measure),
        usual=check_value(week.usual, measure),
    )


@register.filter
def check_alert(alert: CheckAlert) -> str:
    """What an alert says, in a sentence."""
    value = alert.rate if alert.shift is None else alert.shift
    figures = {"value": value, "usual": alert.usual, "limit": alert.limit}
    said = {name: check_value(figure, alert.measure) for name, figure in figures.items()}
    sentences = {
        Measure.PAIRS: _("Week from {week}: {value} of pairs as researchers, {usual} is usual, the limit {limit}:"),
        Measure.RATINGS: _("Week from {week}: {value} of ratings as researchers, {usual} is usual, the limit {limit}:"),
        Measure.FLAGS: _("Week from {week}: {value} of flags as researchers, {usual} is usual, the limit {limit}:"),
        Measure.LENIENCY: _(
            "Week from {week}: ratings {value} points from the researchers’, {usual} is usual, the limit {limit}:"
        ),
    }
    return sentences[Measure(alert.measure)].format(week=alert.week.isoformat(), **said)


@register.filter
def of(agreed: int | None, compared: int | None) -> str:
    """ "5 / 6"; a dash where nothing was compared."""
    return f"{agreed} / {compared}" if compared else "–"


@register.filter
def points(total: float | None, number: int | None) -> str:
    """The mean of `number` differences that come to `total`, with its sign."""
    return say_points(total / number) if number else "–"
