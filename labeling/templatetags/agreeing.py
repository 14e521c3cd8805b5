"""Agreement on pages of features that know nothing of it: a person's."""

from __future__ import annotations

from functools import lru_cache

from django import template
from django.utils import translation
from django.utils.translation import gettext as _

from labeling import plots
from labeling.agreement import reports
from labeling.people.models import User

register = template.Library()


@register.inclusion_tag("agreement/_person.html")
def agreement_of(person: User) -> dict:
    """How one labeler's rankings agree with others', with researchers' and with their own on repeats: drawn, and in a
    table. Nothing about whoever shares no task with anybody."""
    words, found = reports.words(), reports.of_labeler(person)
    rows = [reports.row_of(name_of(key), cut) for key, cut in found.items()]
    rates = tuple((key, cut["pairwise"]["rate"], *cut["pairwise"]["ci95"], cut["tasks"]) for key, cut in found.items())
    return {
        "person": person,
        "rows": rows,
        "measures": [words[statistic] for statistic in reports.OF_ORDERS],
        "plot": plot_of(rates, translation.get_language() or "") if rows else None,
    }


def name_of(key: str) -> str:
    return {
        "others": _("With other labelers"),
        "researchers": _("With researchers"),
        "themselves": _("With themselves, on repeats"),
    }[key]


# A drawing takes a tenth of a second, and is the same until the report is made again.
@lru_cache(maxsize=256)
def plot_of(rates: tuple[tuple, ...], language: str) -> plots.Plot:
    return plots.intervals(
        _("Pairs ordered alike, ties left out"),
        [(name_of(key), rate, low, high) for key, rate, low, high, _tasks in rates],
        label=_("Whose"),
        value=_("Agree, ties left out"),
        reference=(_("chance"), 0.5),
        limits=(None, 1.005),
        percent=True,
        more={_("Tasks"): [row[-1] for row in rates]},
    )
