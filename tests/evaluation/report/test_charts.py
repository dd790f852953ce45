from xml.etree import ElementTree

import pytest

from tfvqgen.evaluation.report.charts import (
    line_chart,
    scatter_chart,
)

AXES = {"x": "x", "y": "y"}


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
