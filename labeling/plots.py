"""Plots drawn on the server: SVG in the colours of the page, each with its sentence, its table and its CSV.

A drawing takes 50 to 100 ms and the library seconds to load: reports draw when they are made and keep `Plot.as_json`.
Labels may come from people and models; they are drawn as they are, never as markup, mathematics or a formula.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import threading
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.formats import date_format, number_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext as _

MOST_DRAWN = 60  # rows of one drawing; its table has all
LABEL_CHARACTERS = 28
SERIES = 5
# What is drawn in the colour on the left is shown in the page's own, light or dark.
INK, EDGE, GRID, STRONG, *LINES = (
    "#010101",
    "#010102",
    "#010103",
    "#010104",
    *(f"#0102{n:02x}" for n in range(SERIES)),
)
COLOURS = {
    INK: "var(--ink-soft)",
    EDGE: "var(--line-strong)",
    GRID: "var(--line)",
    STRONG: "var(--ink)",
    **{colour: f"var(--plot-{number})" for number, colour in enumerate(LINES, 1)},
}
# Told apart without colour too.
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v")
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "kwise",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.unicode_minus": False,
}
# What XML cannot hold.
UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# How a spreadsheet knows a formula, in ASCII and in the wide forms that some take as well.
FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"

# matplotlib promises nothing to threads.
_drawing = threading.Lock()

Number = float | int
Limits = tuple[float | None, float | None]


@dataclass(frozen=True)
class Plot:
    """A drawing, and the same in words and numbers. `svg` is safe to show, and empty where there is nothing to draw."""

    title: str
    summary: str
    columns: list[str]
    rows: list[list]  # text, numbers, dates, None
    svg: str = ""
    percent: bool = False  # fractions of the rows are shares

    @property
    def name(self) -> str:
        return slugify(self.title) or "plot"

    @property
    def drawing(self) -> SafeString:
        return mark_safe(self.svg)  # written by `_svg` alone

    @property
    def shown(self) -> list[list[str]]:
        """The rows as people read them."""
        return [[say(value, percent=self.percent) for value in row] for row in self.rows]

    def as_json(self) -> dict:
        rows = [[cell.isoformat() if isinstance(cell, date) else cell for cell in row] for row in self.rows]
        return {**asdict(self), "rows": rows}

    @classmethod
    def from_json(cls, kept: dict) -> Plot:
        return cls(**kept)


def say(value: Any, *, percent: bool = False) -> str:
    """A value of a table: 0.7264 is "72.6 %" or "0.726", a dash where nothing is known."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, bool) or not isinstance(value, Number | date):
        return str(value)
    if isinstance(value, date):
        return date_format(value)
    if isinstance(value, int):
        return number_format(value, force_grouping=True)
    if percent:
        return f"{number_format(round(100 * value, 1), 1)} %"
    places = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return number_format(round(value, min(places, 10)), min(places, 10))


# The kinds of plots


def line(
    title: str,
    lines: Mapping[str, Sequence[tuple]],
    *,
    x: str,
    y: str,
    reference: tuple[str, float] | None = None,
    bands: Sequence[tuple[str, float]] = (),
    limits: Limits = (None, None),
    percent: bool = False,
    summary: str = "",
) -> Plot:
    """Curves: name → points (x, y) or (x, y, low, high), whose interval is shaded. x is a number or a date.

    `reference` is a named level such as chance, `bands` more of them, e.g. control limits.
    """
    drawn = {name: list(points) for name, points in lines.items() if len(points)}
    several, ranged = len(lines) > 1, any(len(point) > 2 for points in drawn.values() for point in points)
    columns = [*([_("Series")] if several else []), x, y, *([_("Low"), _("High")] if ranged else [])]
    rows = [
        [*([name] if several else []), *point, *([None] * (4 - len(point)) if ranged else [])]
        for name, points in drawn.items()
        for point in points
    ]
    levels = [*([reference] if reference else []), *bands]
    columns += [name for name, _level in levels]
    rows = [[*row, *(level for _name, level in levels)] for row in rows]
    words = summary or _say_lines(title, drawn, percent)
    if not drawn:
        return Plot(title, words, columns, rows, percent=percent)
    with _figure(title, words, 5.6, 2.9) as (figure, axes, out):
        whole = all(isinstance(point[1], int) for points in drawn.values() for point in points)
        _shared(axes, x=x, y=y, percent=percent, whole=whole)
        handles, names = [], []
        for number, (name, points) in enumerate(drawn.items()):
            colour = LINES[number % SERIES]
            places = [point[0] for point in points]
            (curve,) = axes.plot(
                places,
                [_known(point[1]) for point in points],
                color=colour,
                linestyle=DASHES[number % SERIES],
                linewidth=1.8,
                marker=MARKERS[number % SERIES] if len(points) <= 60 else None,
                markersize=4,
            )
            if any(len(point) > 2 for point in points):
                bounds = [point[2:4] if len(point) > 3 else (None, None) for point in points]
                low, high = ([_known(bound[side]) for bound in bounds] for side in (0, 1))
                axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
            handles.append(curve)
            names.append(name)
        for number, (label, level) in enumerate(levels):
            style = ":" if number else "--"
            handles.append(axes.axhline(level, color=STRONG, linestyle=style, linewidth=1.1))
            names.append(label)
        if isinstance(next(iter(drawn.values()))[0][0], date):
            _dates(axes, sorted({point[0] for points in drawn.values() for point in points}))
        _limit(axes.set_ylim, limits)
        _legend(axes, handles, names, wanted=len(handles) > 1)
    return Plot(title, words, columns, rows, out.svg, percent)


def intervals(
    title: str,
    values: Sequence[tuple[str, float | None, float | None, float | None]],
    *,
    label: str,
    value: str,
    reference: tuple[str, float] | None = None,
    more: Mapping[str, Sequence[Any]] | None = None,
    limits: Limits = (None, None),
    percent: bool = False,
    summary: str = "",
) -> Plot:
    """Values with their 95 % intervals, one a row: (label, value, low, high), None where there is none.

    `reference` is a named level such as chance; `more` are columns of the table alone, e.g. the counts behind.
    """
    more = more or {}
    columns = [label, value, _("Low (95 %)"), _("High (95 %)"), *more]
    rows = [[*entry, *(column[number] for column in more.values())] for number, entry in enumerate(values)]
    if reference:
        columns.append(reference[0])
        rows = [[*row, reference[1]] for row in rows]
    drawn = [entry for entry in values if entry[1] is not None][:MOST_DRAWN]
    words = summary or _say_values(title, [(entry[0], entry[1]) for entry in values], percent)
    if not drawn:
        return Plot(title, words, columns, rows, percent=percent)
    with _figure(title, words, 5.6, 1.1 + 0.27 * len(drawn)) as (figure, axes, out):
        _shared(axes, x=value)
        places = list(range(len(drawn)))
        for place, (_name, middle, low, high) in zip(places, drawn, strict=True):
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=LINES[0], linewidth=2, solid_capstyle="butt")
            axes.plot([middle], [place], color=LINES[0], marker="o", markersize=5)
        _rows_of(axes, [entry[0] for entry in drawn])
        _numbers(axes.xaxis, percent)
        if reference:
            mark = axes.axvline(reference[1], color=STRONG, linestyle="--", linewidth=1.1)
            _legend(axes, [mark], [reference[0]], wanted=True)
        _limit(axes.set_xlim, limits)
    return Plot(title, words, columns, rows, out.svg, percent)


def bars(
    title: str,
    values: Sequence[tuple[str, float | None]],
    *,
    label: str,
    value: str,
    reference: tuple[str, float] | None = None,
    limits: Limits = (0, None),
    percent: bool = False,
    summary: str = "",
) -> Plot:
    """A bar for each (label, value), lying, so that labels can be read."""
    rows = [list(entry) for entry in values]
    columns = [label, value]
    if reference:
        columns.append(reference[0])
        rows = [[*row, reference[1]] for row in rows]
    drawn = [entry for entry in values if entry[1] is not None][:MOST_DRAWN]
    words = summary or _say_values(title, list(values), percent)
    if not drawn:
        return Plot(title, words, columns, rows, percent=percent)
    with _figure(title, words, 5.6, 1.1 + 0.27 * len(drawn)) as (figure, axes, out):
        _shared(axes, x=value)
        axes.barh(range(len(drawn)), [entry[1] for entry in drawn], height=0.65, color=LINES[0])
        _rows_of(axes, [entry[0] for entry in drawn])
        _numbers(axes.xaxis, percent)
        if any(entry[1] < 0 for entry in drawn):
            axes.axvline(0, color=EDGE, linewidth=1)
            limits = (None, limits[1])
        if reference:
            mark = axes.axvline(reference[1], color=STRONG, linestyle="--", linewidth=1.1)
            _legend(axes, [mark], [reference[0]], wanted=True)
        _limit(axes.set_xlim, limits)
    return Plot(title, words, columns, rows, out.svg, percent)


def points(
    title: str,
    groups: Mapping[str, Sequence[tuple]],
    *,
    x: str,
    y: str,
    reference: tuple[str, float] | None = None,
    limits: Limits = (None, None),
    percent: bool = False,
    summary: str = "",
) -> Plot:
    """A scatter: name of a group → (x, y) or (x, y, label of the point). `reference` is a named level of y."""
    drawn = {name: list(places) for name, places in groups.items() if len(places)}
    several, labelled = len(groups) > 1, any(len(place) > 2 for places in drawn.values() for place in places)
    columns = [*([_("Series")] if several else []), *([_("Point")] if labelled else []), x, y]
    rows = [
        [*([name] if several else []), *([*place[2:3], None][:1] if labelled else []), *place[:2]]
        for name, places in drawn.items()
        for place in places
    ]
    words = summary or _say_values(title, [(say(row[-2]), row[-1]) for row in rows], percent)
    if not drawn:
        return Plot(title, words, columns, rows, percent=percent)
    with _figure(title, words, 5.6, 3.2) as (figure, axes, out):
        _shared(axes, x=x, y=y, percent=percent)
        handles, names = [], list(drawn)
        for number, places in enumerate(drawn.values()):
            (marks,) = axes.plot(
                [place[0] for place in places],
                [_known(place[1]) for place in places],
                color=LINES[number % SERIES],
                marker=MARKERS[number % SERIES],
                linestyle="none",
                markersize=5,
                alpha=0.8,
            )
            handles.append(marks)
        if reference:
            handles.append(axes.axhline(reference[1], color=STRONG, linestyle="--", linewidth=1.1))
            names.append(reference[0])
        _limit(axes.set_ylim, limits)
        _legend(axes, handles, names, wanted=len(handles) > 1)
    return Plot(title, words, columns, rows, out.svg, percent)


def histogram(
    title: str,
    values: Iterable[Number],
    *,
    x: str,
    bins: int | Sequence[float] = 20,
    reference: tuple[str, float] | None = None,
    summary: str = "",
) -> Plot:
    """How many of `values` lie where: `bins` of one width, or with the edges given. What is not finite is left out."""
    import numpy as np

    finite = np.asarray([value for value in values if value is not None and math.isfinite(value)], float)
    if not len(finite):
        words = _("{title}: nothing measured yet.").format(title=title)
        return Plot(title, words, [_("From"), _("To"), _("Count")], [])
    counts, edges = np.histogram(finite, bins=bins)
    return counted(
        title,
        [int(count) for count in counts],
        [float(edge) for edge in edges],
        x=x,
        reference=reference,
        summary=summary
        or _("{title}: {count} values, half of them between {low} and {high}.").format(
            title=title,
            count=say(len(finite)),
            low=say(float(np.quantile(finite, 0.25))),
            high=say(float(np.quantile(finite, 0.75))),
        ),
    )


def counted(
    title: str,
    counts: Sequence[int],
    edges: Sequence[float],
    *,
    x: str,
    reference: tuple[str, float] | None = None,
    summary: str,
) -> Plot:
    """The histogram of values that were counted elsewhere: counts[i] lie between edges[i] and edges[i + 1]."""
    columns = [_("From"), _("To"), _("Count")]
    rows = [[edges[number], edges[number + 1], count] for number, count in enumerate(counts)]
    with _figure(title, summary, 5.6, 2.7) as (figure, axes, out):
        _shared(axes, x=x, y=_("Count"))
        axes.stairs(counts, edges, fill=True, color=LINES[0])
        if reference:
            mark = axes.axvline(reference[1], color=STRONG, linestyle="--", linewidth=1.1)
            _legend(axes, [mark], [reference[0]], wanted=True)
    return Plot(title, summary, columns, rows, out.svg)


# What they say


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _say_values(title: str, values: Sequence[tuple[str, float | None]], percent: bool) -> str:
    known = [(label, value) for label, value in values if value is not None]
    if not known:
        return _("{title}: nothing measured yet.").format(title=title)
    (low_label, low), (high_label, high) = (pick(known, key=lambda entry: entry[1]) for pick in (min, max))
    if len(known) == 1:
        return _("{title}: {label} {value}.").format(title=title, label=low_label, value=say(low, percent=percent))
    if low == high:
        return _("{title}: {value} throughout.").format(title=title, value=say(low, percent=percent))
    return _("{title}: from {low} ({low_label}) to {high} ({high_label}).").format(
        title=title,
        low=say(low, percent=percent),
        low_label=low_label,
        high=say(high, percent=percent),
        high_label=high_label,
    )


def _say_lines(title: str, lines: Mapping[str, Sequence[tuple]], percent: bool) -> str:
    if not lines:
        return _("{title}: nothing measured yet.").format(title=title)
    if len(lines) == 1 and len(points := next(iter(lines.values()))) == 1:
        return _say_values(title, [(say(points[0][0]), points[0][1])], percent)
    said = [
        _("{name} from {start} ({first}) to {end} ({last})").format(
            name=name if name != title else "",
            start=say(points[0][1], percent=percent),
            first=say(points[0][0]),
            end=say(points[-1][1], percent=percent),
            last=say(points[-1][0]),
        )
        for name, points in lines.items()
    ]
    return f"{title}: {'; '.join(words.strip() for words in said)}."


# Drawing


class _Out:
    svg = ""


@contextmanager
def _figure(title: str, summary: str, width: float, height: float) -> Iterator[tuple]:
    """A figure of so many inches and its axes to draw on; afterwards its SVG is in `out.svg`."""
    # Imported here: the library takes seconds, and every web process, worker and command would wait for it to start.
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = _Out()
    with _drawing, matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # A font that lacks a glyph: the browser has others.
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        yield figure, axes, out
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    out.svg = _svg(buffer.getvalue(), title, summary)


def _shared(axes: Any, *, x: str, y: str = "", percent: bool = False, whole: bool = False) -> None:
    axes.set_xlabel(_clean(x), color=INK)
    axes.set_ylabel(_clean(y), color=INK)
    axes.tick_params(color=EDGE, labelcolor=INK)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(EDGE)
    _numbers(axes.xaxis, False)
    _numbers(axes.yaxis, percent, whole)


def _limit(set_limits: Any, limits: Limits) -> None:
    """After all is drawn: an end that is not given is where the drawing ends."""
    if limits != (None, None):
        set_limits(*limits)


def _numbers(axis: Any, percent: bool, whole: bool = False) -> None:
    """Ticks in the reader's way of writing numbers; of counts none between two whole ones."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    def write(value: float, _place: int) -> str:
        value = round(100 * value if percent else value, 6)
        whole = float(value).is_integer()
        text = number_format(int(value) if whole else value, force_grouping=abs(value) >= 10_000)
        return f"{text} %" if percent else text

    axis.set_major_locator(MaxNLocator(nbins=6, integer=whole))
    axis.set_major_formatter(FuncFormatter(write))


def _dates(axes: Any, days: list[date]) -> None:
    from matplotlib.dates import AutoDateLocator, DateFormatter

    if len(days) <= 5:
        axes.set_xticks(days)
        around = max((days[-1] - days[0]) / 10, timedelta(days=1))
        axes.set_xlim(days[0] - around, days[-1] + around)
    else:
        axes.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=5))
    axes.xaxis.set_major_formatter(DateFormatter("%Y-%m-%d"))


def _rows_of(axes: Any, labels: Sequence[str]) -> None:
    """One line a label, the first at the top."""
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _legend(axes: Any, handles: list, names: list[str], *, wanted: bool) -> None:
    if not wanted:
        return
    legend = axes.figure.legend(
        handles,
        [str(number) for number in range(len(names))],  # a name that begins with _ would be left out
        loc="outside upper left",
        ncols=min(3, len(names)),
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(_short(name))


def _clean(text: object) -> str:
    return UNPRINTABLE.sub("\ufffd", " ".join(str(text).split()))


def _short(text: object) -> str:
    text = _clean(text)
    return text if len(text) <= LABEL_CHARACTERS else text[: LABEL_CHARACTERS - 1] + "…"


def _svg(drawn: bytes, title: str, summary: str) -> str:
    """What matplotlib wrote, to stand in a page: the page's colours, a name and a description, ids of its own, and no
    style that would hold for the whole page."""
    root = ElementTree.fromstring(drawn)
    key = "plot-" + hashlib.sha256(drawn + title.encode(errors="replace")).hexdigest()[:10]
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{SVG}style", f"{SVG}metadata") or not isinstance(child.tag, str):
                parent.remove(child)
    used = {value[1:] for node in root.iter() for name, value in node.attrib.items() if name == f"{XLINK}href"}
    used |= {name for node in root.iter() for name in re.findall(r"url\(#([^)]+)\)", " ".join(node.attrib.values()))}
    ids = {name: f"{key}-{number}" for number, name in enumerate(sorted(used))}
    for node in root.iter():
        node.tag = node.tag.removeprefix(SVG)
        kept = {}
        for name, value in node.attrib.items():
            if name == "id":
                if value not in ids:
                    continue
                value = ids[value]
            elif name == f"{XLINK}href":
                name, value = "href", f"#{ids[value[1:]]}"
            else:
                value = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{ids[found[1]]})", value)
                value = re.sub(r"#01010[1-4]|#01020[0-9]", lambda found: COLOURS[found[0]], value)
                value = re.sub(r"font: ([\d.]+px)[^;]*", r"font-size: \1", value)
            kept[name] = value
        node.attrib = kept
    _left, _top, width, height = root.get("viewBox").split()
    root.attrib = {
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-labelledby": f"{key}-title",
        "aria-describedby": f"{key}-desc",
        "class": "plot-drawing",
    }
    for place, (tag, text) in enumerate((("title", title), ("desc", summary))):
        said = ElementTree.Element(tag, {"id": f"{key}-{tag}"})
        said.text = _clean(text)
        root.insert(place, said)
    return ElementTree.tostring(root, encoding="unicode")


# CSV


def csv_cell(value: Any) -> str:
    """A cell as text. Text that a spreadsheet would take for a formula begins with an apostrophe (OWASP)."""
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) and FORMULA.match(value):
        return "'" + value
    return str(value)


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    import csv

    class Line:
        def write(self, text: str) -> str:
            return text

    writer = csv.writer(Line())
    yield writer.writerow([csv_cell(column) for column in columns])
    for row in rows:
        yield writer.writerow([csv_cell(value) for value in row])


def csv_response(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, name: str) -> StreamingHttpResponse:
    """The rows as a download called `name`.csv, streamed. Of a plot: `csv_response(plot.columns, plot.rows, …)`."""
    lines = (line.encode("utf-8", errors="replace") for line in csv_lines(columns, rows))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name) or "table"}.csv"'
    return response
