"""Somebody's work over time, drawn."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from labeling.plots import Plot, line
from labeling.team.queries import Period


def of_work(work: Sequence[Period], *, by: str) -> list[Plot]:
    """Answers and hours at work in each day or week; none where nothing was done in any."""
    if not any(period.answers for period in work):
        return []
    if by == "week":
        begins, answers, hours = _("Week from"), _("Answers by week"), _("Hours at work by week")
    else:
        begins, answers, hours = _("Day"), _("Answers by day"), _("Hours at work by day")
    given = [(period.begins, period.answers) for period in work]
    spent = [(period.begins, period.hours) for period in work]
    return [
        line(answers, {answers: given}, x=begins, y=_("Answers"), limits=(0, None)),
        line(hours, {hours: spent}, x=begins, y=_("Hours at work"), limits=(0, None)),
    ]
