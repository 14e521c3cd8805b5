"""A labeler's control chart, drawn."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from labeling.checks.statistics import Week
from labeling.plots import Plot, line

COLUMNS = (
    *("labeler", "week", "checks", "agreed", "compared", "rate", "usual", "usual_is_own"),
    *("limit", "upper", "average", "average_limit", "reasons"),
)


def control_chart(weeks: Sequence[Week], *, level: float) -> Plot:
    """Agreement by week within its limits, what is usual, and the level asked for."""
    rate, usual, low = _("Agreement"), _("Usual"), _("Lower limit")
    drawn = {rate: [(week.week, week.rate) for week in weeks], usual: [(week.week, week.usual) for week in weeks]}
    judged = [(week.week, week.limit) for week in weeks if week.limit is not None]
    upper = [(week.week, week.upper) for week in weeks if week.upper is not None]
    drawn |= {low: judged, _("Upper limit"): upper} if judged else {}
    out = sum(bool(week.reasons) for week in weeks)
    summary = _(
        "{out} of {weeks} weeks are out of control. The latest agreement is {rate} %, {usual} % is usual."
    ).format(out=out, weeks=len(weeks), rate=round(100 * weeks[-1].rate), usual=round(100 * weeks[-1].usual))
    return line(
        _("Agreement with researchers by week"),
        drawn,
        x=_("Week from"),
        y=rate,
        reference=(_("Asked for"), level),
        limits=(0, 1),
        percent=True,
        summary=summary,
    )


def rows_of(labeler: str, weeks: Sequence[Week]) -> list[list]:
    """The weeks as lines of a CSV, under COLUMNS."""
    return [
        [
            *(labeler, week.week.isoformat(), week.checks, week.agreed, week.compared, week.rate, week.usual),
            "yes" if week.own else "no",
            *(week.limit, week.upper, week.average, week.average_limit, " ".join(week.reasons)),
        ]
        for week in weeks
    ]
