"""Curves drawn on the server: SVG that reads on light and dark grounds alike, without a script."""

from __future__ import annotations

import io
import threading
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

# At least 3:1 against white and against the dark theme's surface.
INK = "#7d8a85"
LINES = ("#0f9a84", "#c96f12", "#6f7fd8", "#c4509a", "#5f9a2c")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))  # told apart without colour too

# matplotlib promises nothing to threads.
_drawing = threading.Lock()

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A drawing as an address for <img>, and its content in words."""

    title: str
    source: str  # data: URI of the SVG
    description: str


def line_chart(title: str, lines: Mapping[str, Points], *, unit: str = "") -> Chart:
    """One drawing of some curves over the step. Curves without points are left out."""
    # Imported here: the library takes seconds, and every web process, worker and command would wait for it to start.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style = {
        "svg.fonttype": "none",  # text stays text: a tenth of the size of outlines
        "svg.hashsalt": "kwise",  # the same curve is the same bytes
        "font.family": "sans-serif",
    }
    drawn = {name: points for name, points in lines.items() if points}
    with _drawing, matplotlib.rc_context(style):
        figure = Figure(figsize=(4.8, 2.7), layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        for number, (name, points) in enumerate(drawn.items()):
            steps, values = zip(*points, strict=True)
            axes.plot(
                steps,
                values,
                label=name,
                color=LINES[number % len(LINES)],
                linestyle=DASHES[number % len(DASHES)],
                linewidth=1.8,
                marker="o" if len(points) < 12 else None,
                markersize=4,
            )
        axes.set_xlabel(gettext("step"), color=INK)
        axes.set_ylabel(str(unit), color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.tick_params(colors=INK)
        axes.grid(color=INK, alpha=0.25, linewidth=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        for side in ("left", "bottom"):
            axes.spines[side].set_color(INK)
        if len(drawn) > 1:
            axes.legend(frameon=False, labelcolor=INK, fontsize=9)
        out = io.BytesIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Title": str(title)})
    source = "data:image/svg+xml;base64," + b64encode(out.getvalue()).decode()
    return Chart(title=title, source=source, description=describe(title, drawn))


def describe(title: str, lines: Mapping[str, Points]) -> str:
    """What a curve says, for whoever does not see it."""
    if not lines:
        return gettext("{title}: nothing measured yet.").format(title=title)
    parts = []
    for name, points in lines.items():
        (first, start), (last, end) = points[0], points[-1]
        words = gettext("{name} from {start:.4g} at step {first:.0f} to {end:.4g} at step {last:.0f}")
        parts.append(words.format(name=name, start=start, first=first, end=end, last=last))
    return f"{title}: {'; '.join(parts)}."


# Metrics that share a unit share a drawing; (title, metrics, unit) in the order of the page.
GROUPS = {
    "sft": [(_("Loss"), ("loss", "valid_loss"), _("nats per token")), (_("Learning rate"), ("lr",), "")],
    "rm": [
        (_("Accuracy"), ("accuracy", "valid_accuracy"), _("share of pairs")),
        (_("Loss"), ("loss",), _("nats per pair")),
        (_("Learning rate"), ("lr",), ""),
    ],
    "ppo": [
        (_("Reward"), ("reward", _("score")), _("reward")),
        (_("KL from the starting policy"), ("kl",), _("nats per answer")),
        (_("Policy loss"), ("loss_policy",), ""),
        (_("Value loss"), ("loss_value",), ""),
        (_("Pretraining loss"), ("loss_ptx",), _("nats per token")),
        (_("Entropy"), ("entropy",), _("nats per token")),
        (_("Clipped ratios"), ("clip_fraction",), _("share of tokens")),
    ],
}


def charts_of(algorithm: str, series: Mapping[str, Points]) -> list[Chart]:
    """The drawings for a run's metrics; those without any measurement yet are left out."""
    return [
        line_chart(title, {name: series.get(name, ()) for name in names}, unit=unit)
        for title, names, unit in GROUPS[algorithm]
        if any(series.get(name) for name in names)
    ]
