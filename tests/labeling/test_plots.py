"""Plots: the page's colours, their content in words and numbers, and nothing that a label could break."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import date

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from labeling import plots
from labeling.plots import Plot

HOSTILE = [
    "<script>alert(1)</script>",
    "</svg><img src=x onerror=alert(1)>",
    "$\\frac{1}{0}$",
    "_hidden",
    "&amp;\x01\x1b\x7f",
    "a\nb",
    "\u202egnp.exe",
    "漢字🙂",
    "=HYPERLINK(1)",
    "x" * 500,
    "",
]


def every_kind(label: str = "Ada") -> list[Plot]:
    named = {"label": label, "value": label}
    return [
        plots.line("Over time", {label: [(1, 0.5), (2, 0.7)], "b": [(1, 0.1, 0.0, 0.2)]}, x=label, y=label),
        plots.intervals("Each", [(label, 0.7, 0.6, 0.8), ("b", None, None, None)], **named, reference=(label, 0.5)),
        plots.bars("Bars", [(label, -1.0), ("b", 3.0)], **named, reference=(label, 1.0)),
        plots.points("Scatter", {label: [(1, 2.0, label), (2, 3.0)]}, x=label, y=label, reference=(label, 1.0)),
        plots.histogram("Spread", [1.0, 2.0, 2.5], x=label, bins=3, reference=(label, 1.0)),
    ]


@pytest.mark.parametrize("label", ["Ada", *HOSTILE], ids=range(len(HOSTILE) + 1))
def test_every_kind_is_well_formed_whatever_its_labels(label):
    for plot in every_kind(label):
        root = ElementTree.fromstring(plot.svg)
        assert root.get("role") == "img"
        assert {node.tag for node in root.iter()} <= {
            *("svg", "title", "desc", "g", "path", "defs", "use", "text", "clipPath", "rect", "tspan")
        }
        assert "$" not in label or any(label[:20] in (node.text or "") for node in root.iter("text"))


def test_drawing_has_a_name_and_no_colour_or_style_of_its_own():
    for plot in every_kind():
        root = ElementTree.fromstring(plot.svg)
        named = {node.get("id"): node for node in root.iter() if node.get("id")}
        title, description = (named[root.get(f"aria-{kind}")] for kind in ("labelledby", "describedby"))
        assert (title.tag, title.text, description.text) == ("title", plot.title, plot.summary)
        assert re.findall(r"#[0-9a-f]{3,6}\b(?![-\w])", re.sub(r'(href="|url\()#[\w-]+', "", plot.svg)) == []
        assert "var(--plot-1)" in plot.svg
        assert "<style" not in plot.svg


def test_reference_is_drawn_where_it_lies():
    """Also where no value is near it, on either side."""
    for plot in (
        plots.intervals("T", [("a", 0.9, 0.8, 1.0)], label="l", value="v", reference=("r", 0.1)),
        plots.line("T", {"a": [(1, 30.0), (2, 40.0)]}, x="x", y="y", reference=("r", 5.0)),
    ):
        ticks = re.findall(r">([\d.]+)</text>", plot.svg)
        low, high = (pick(map(float, ticks)) for pick in (min, max))
        assert low <= plot.rows[0][-1] * 2
        assert high >= plot.rows[0][1] * 0.8


def test_no_two_plots_of_a_page_share_an_id():
    ids = re.findall(r' id="([^"]+)"', "".join(plot.svg for plot in every_kind()))
    assert len(ids) == len(set(ids)) > 5


def test_same_values_are_the_same_picture():
    assert every_kind() == every_kind()


def test_name_that_begins_like_a_hidden_one_is_in_the_legend():
    plot = plots.line("T", {"_hidden": [(1, 1.0)], "b": [(1, 2.0)]}, x="x", y="y")
    assert ">_hidden<" in plot.svg


def test_sentence_and_table_say_what_is_drawn():
    plot = plots.intervals(
        "Agreement",
        [("Ada", 0.726, 0.7, 0.75), ("Bo", 0.5, None, None), ("Cy", None, None, None)],
        label="Labeler",
        value="Agree",
        reference=("Chance", 0.5),
        more={"Pairs": [1200, 2, 0]},
        percent=True,
    )
    assert plot.summary == "Agreement: from 50.0 % (Bo) to 72.6 % (Ada)."
    assert plot.columns == ["Labeler", "Agree", "Low (95 %)", "High (95 %)", "Pairs", "Chance"]
    assert plot.shown[0] == ["Ada", "72.6 %", "70.0 %", "75.0 %", "1,200", "50.0 %"]
    assert plot.shown[2] == ["Cy", "–", "–", "–", "0", "50.0 %"]


def test_line_over_days_has_its_interval_and_levels_in_the_table():
    plot = plots.line(
        "By week",
        {"all": [(date(2026, 1, 5), 0.6, 0.5, 0.7), (date(2026, 1, 12), 0.7, 0.6, 0.8)]},
        x="Week",
        y="Agree",
        reference=("Chance", 0.5),
    )
    assert plot.columns == ["Week", "Agree", "Low", "High", "Chance"]
    assert plot.rows[1] == [date(2026, 1, 12), 0.7, 0.6, 0.8, 0.5]
    assert "2026-01" in plot.svg


def test_counts_have_whole_ticks_and_a_single_line_is_named_once():
    plot = plots.line("Answers", {"Answers": [(date(2026, 1, 5), 0), (date(2026, 1, 6), 1)]}, x="Day", y="Answers")
    assert plot.summary == "Answers: from 0 (5 Jan 2026) to 1 (6 Jan 2026)."
    assert ">0.5<" not in plot.svg and ">0.2<" not in plot.svg and ">1<" in plot.svg


def test_nothing_to_draw_says_so():
    for plot in (
        plots.line("T", {"a": []}, x="x", y="y"),
        plots.intervals("T", [("a", None, None, None)], label="l", value="v"),
        plots.bars("T", [], label="l", value="v"),
        plots.points("T", {}, x="x", y="y"),
        plots.histogram("T", [float("nan")], x="x"),
    ):
        assert (plot.svg, plot.summary) == ("", "T: nothing measured yet.")


def test_german_writes_its_own_numbers():
    with translation.override("de"):
        plot = plots.bars("T", [("a", 0.125), ("b", 0.25)], label="l", value="v")
    assert plot.summary == "T: von 0,125 (a) bis 0,250 (b)."
    assert ">0,10<" in plot.svg or ">0,1<" in plot.svg


def test_plot_is_kept_as_json():
    plot = plots.line("T", {"a": [(date(2026, 1, 5), 1.0)]}, x="x", y="y")
    kept = Plot.from_json(json.loads(json.dumps(plot.as_json())))
    assert (kept.svg, kept.title, kept.rows) == (plot.svg, "T", [["2026-01-05", 1.0]])


def test_page_shows_drawing_sentence_table_and_download():
    plot = plots.bars("Bars", [(HOSTILE[0], 1.0)], label="Who", value="How many")
    shown = render_to_string("_plot.html", {"plot": plot, "csv": "/x/?a=1&b=2"})
    assert shown.count("<svg") == 1
    assert "<script" not in shown
    assert 'href="/x/?a=1&amp;b=2"' in shown
    assert '<th scope="row">&lt;script&gt;' in shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", " =1", "\r=1", "＝1"])
def test_text_never_becomes_a_formula(text):
    (cells,) = csv.reader(io.StringIO("".join(plots.csv_lines([], [[text]])).removeprefix("\r\n")))
    assert cells == ["'" + text]


def test_csv_keeps_numbers_and_text():
    response = plots.csv_response(["a", "b"], [['x, "y"\nz', -1.5], [None, date(2026, 1, 5)]], name="Pay & time")
    rows = list(csv.reader(io.StringIO(response.getvalue().decode(), newline="")))
    assert rows == [["a", "b"], ['x, "y"\nz', "-1.5"], ["", "2026-01-05"]]
    assert response["Content-Disposition"] == 'attachment; filename="pay-time.csv"'


def test_library_is_loaded_by_the_first_drawing_alone():
    """The web starts without it."""
    program = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; import django; django.setup();"
        "import config.urls; print('matplotlib' in sys.modules, 'numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split()[0] == "False"
