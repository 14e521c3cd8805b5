"""A labeler's control charts, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.checks.models import Measure
from labeling.checks.statistics import Week
from labeling.plots import Plot, line

COLUMNS = (
    *("labeler", "measure", "week", "checks", "agreed", "compared", "rate", "shift", "usual", "usual_is_own"),
    *("limit", "upper", "average", "average_limit", "reasons"),
)
TITLES = {
    Measure.PAIRS: gettext_lazy("Agreement with researchers by week"),
    Measure.RATINGS: gettext_lazy("Ratings as researchers gave them, by week"),
    Measure.FLAGS: gettext_lazy("Flags as researchers set them, by week"),
    Measure.LENIENCY: gettext_lazy("Ratings above or below the researchers’, by week"),
}


def control_chart(weeks: Sequence[Week], *, measure: str, level: float) -> Plot:
    """One measure by week within its limits, what is usual, and of shares the level asked for."""
    points = measure == Measure.LENIENCY
    value, usual, low = _("Points") if points else _("Agreement"), _("Usual"), _("Lower limit")
    drawn = {value: [(week.week, week.value) for week in weeks], usual: [(week.week, week.usual) for week in weeks]}
    judged = [(week.week, week.limit) for week in weeks if week.limit is not None]
    upper = [(week.week, week.upper) for week in weeks if week.upper is not None]
    drawn |= {low: judged, _("Upper limit"): upper} if judged else {}
    out, latest = sum(bool(week.reasons) for week in weeks), weeks[-1]
    if points:
        summary = _(
            "{out} of {weeks} weeks are out of control. The latest ratings are {value} points from the researchers’, "
            "{usual} is usual."
        ).format(out=out, weeks=len(weeks), value=say_points(latest.value), usual=say_points(latest.usual))
    else:
        summary = _(
            "{out} of {weeks} weeks are out of control. The latest agreement is {rate} %, {usual} % is usual."
        ).format(out=out, weeks=len(weeks), rate=round(100 * latest.rate), usual=round(100 * latest.usual))
    return line(
        str(TITLES[measure]),
        drawn,
        x=_("Week from"),
        y=value,
        reference=(_("As researchers"), 0) if points else (_("Asked for"), level),
        limits=(None, None) if points else (0, 1),
        percent=not points,
        summary=summary,
    )


def say_points(value: float) -> str:
    """Points of a scale with their sign: +0.25, −1.00."""
    text = number_format(abs(round(value, 2)), 2)
    return text if round(value, 2) == 0 else f"+{text}" if value > 0 else f"\N{MINUS SIGN}{text}"


def rows_of(labeler: str, charts: Mapping[str, Sequence[Week]]) -> list[list]:
    """The weeks of all measures as lines of a CSV, under COLUMNS."""
    return [
        [
            *(labeler, str(measure), week.week.isoformat(), week.checks, week.agreed, week.compared, week.rate),
            *(week.shift, week.usual, "yes" if week.own else "no"),
            *(week.limit, week.upper, week.average, week.average_limit, " ".join(week.reasons)),
        ]
        for measure, weeks in charts.items()
        for week in weeks
    ]
