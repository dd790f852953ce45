import re
from xml.etree import ElementTree

import pytest

from tfvqgen.evaluation.report.charts import (
    learning_charts,
    line_chart,
    scatter_chart,
)

AXES = {"x": "x", "y": "y"}


def first_line(chart, number):
    """Returns the points of a line of the training, which have y downwards."""
    lines = re.findall(r'<path d="([^"]+)"[^>]*stroke: #7f97b2', chart)
    points = [re.findall(r"[ML] (\S+) (\S+)", line) for line in lines]
    # The line comes before the marks of its points and the legend.
    line = next(found for found in points if len(found) == number)
    return [tuple(map(float, pair)) for pair in line]


@pytest.mark.parametrize(
    ("value", "log"), [(None, False), (float("nan"), False), (0.0, True)]
)
def test_values_that_cannot_be_drawn_are_left_out(value, log):
    rest = [(2, 1.0), (3, 2.0)]
    chart = line_chart({"training": [(1, value), *rest]}, log=log, **AXES)
    assert chart == line_chart({"training": rest}, log=log, **AXES)
    assert line_chart({"training": [(1, value)]}, log=log, **AXES) is None
    assert scatter_chart([], **AXES) is None


def test_names_are_escaped_and_the_svg_needs_no_other_files():
    chart = line_chart({"training": [(1, 2.0)]}, x="x & y", y="<b>")
    dots = scatter_chart([(1.0, 2.0, "Rods & rings")], **AXES)
    for svg in (chart, dots):
        ElementTree.fromstring(svg.replace("xlink:href", "href"))
        assert "http" not in svg
    assert "&lt;b&gt;" in chart and "<b>" not in chart
    assert "<title>Rods &amp; rings</title>" in dots


def test_learning_curves_show_the_logged_metrics():
    lines = {
        "vqvae": [
            {"step": 1, "split": "train", "reconstruction_mse": 0.2},
            {"step": 2, "split": "train", "reconstruction_mse": 0.1},
        ],
        "top": [{"step": 1, "split": "validation", "bits_per_code": 3.0}],
        "bottom": [],
    }
    charts = learning_charts(lines)
    assert list(charts) == ["Autoencoder: squared error", "Top prior: cost of a code"]
    first, second = first_line(charts["Autoencoder: squared error"], 2)
    assert first[1] < second[1]
