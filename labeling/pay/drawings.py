"""Somebody's paid hours over time, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from django.utils.translation import gettext as _

from labeling.plots import Plot, line


def of_weeks(weeks: Sequence[tuple[date, int]]) -> Plot | None:
    """Hours entered for each week; None where there is none in any."""
    if not any(seconds for _monday, seconds in weeks):
        return None
    title = _("Hours in the ledger by week")
    hours = [(monday, seconds / 3600) for monday, seconds in weeks]
    return line(title, {title: hours}, x=_("Week from"), y=_("Hours"), limits=(min(0, *(h for _d, h in hours)), None))
