import base64
import xml.etree.ElementTree as ElementTree

from labeling.pipeline.charts import charts_of, line_chart


def test_chart_is_an_image_with_its_content_in_words():
    chart = line_chart("Loss", {"loss": [(1, 3.0), (10, 1.5)], "valid_loss": []}, unit="nats per token")
    assert chart.description == "Loss: loss from 3 at step 1 to 1.5 at step 10."
    svg = base64.b64decode(chart.source.removeprefix("data:image/svg+xml;base64,")).decode()
    ElementTree.fromstring(svg)
    assert "nats per token" in svg
    assert "script" not in svg


def test_same_curve_is_the_same_picture():
    lines = {"loss": [(1, 3.0), (2, 2.0)]}
    assert line_chart("Loss", lines) == line_chart("Loss", lines)


def test_only_what_was_measured_is_drawn():
    titles = [chart.title for chart in charts_of("ppo", {"reward": [(1, 0.5)], "kl": [(1, 0.0)], "odd": [(1, 1.0)]})]
    assert titles == ["Reward", "KL from the starting policy"]
    assert charts_of("rm", {}) == []


def test_markup_in_a_metric_stays_text():
    chart = line_chart("Loss", {"<script>alert(1)</script>": [(1, 1.0)], "b": [(1, 1.0)]})
    svg = base64.b64decode(chart.source.split(",")[1]).decode()
    assert "<script>" not in svg
