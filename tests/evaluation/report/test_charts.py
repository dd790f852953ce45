import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.evaluation.report.charts import (
    HEIGHT,
    WIDTH,
    Series,
    line_chart,
    round_numbers,
    scatter_chart,
)

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def places(chart):
    """Returns the points of all lines of a chart."""
    lines = re.findall(r'points="([^"]+)"', chart)
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in lines
    ]


@given(NUMBERS, st.floats(1e-6, 1e6))
def test_round_numbers_lie_within_and_are_few(low, width):
    ticks = round_numbers(low, low + width)
    slack = 1e-9 * max(abs(low), width)
    assert 2 <= len(ticks) <= 7
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20),
    st.booleans(),
)
def test_whatever_is_drawn_is_within_the_picture(points, log):
    chart = line_chart([Series("a", points, 1)], x="x", y="y", log=log)
    if chart is None:
        assert log and all(y <= 0 for _, y in points)
        return
    ElementTree.fromstring(f"<div>{chart}</div>")
    assert all(
        0 <= x <= WIDTH and 0 <= y <= HEIGHT for line in places(chart) for x, y in line
    )


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        (1.7e308, -1.7e308),
        (1.7e308, 1.7e308),
        (1e308, 1e-300),
        (5e-324, 5e-324),
        (0.0, 5e-324),
        (1e16, 1e16 + 2),
        (10**400, 1),
        (-(10**400), 1),
    ],
)
def test_what_no_figure_should_be_is_no_traceback(values, log):
    points = [(1, values[0]), (2, values[1])]
    for drawn in (points, [point[::-1] for point in points]):
        chart = line_chart([Series("a", drawn, 1)], x="x", y="y", log=log)
        drawing = ElementTree.fromstring(f"<div>{chart or ''}</div>")
        written = [one.text for one in drawing.iter("text")]
        assert len(written) <= 16 and max(map(len, written), default=0) < 14
        for line in places(chart or ""):
            assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_a_line_goes_up_where_its_values_do_and_leaves_out_what_is_missing():
    points = [(0, 1.0), (1, None), (2, 3.0), (3, float("nan"))]
    ((first, second),) = places(line_chart([Series("a", points, 1)], x="x", y="y"))
    assert first[0] < second[0] and first[1] > second[1]


def test_a_logarithmic_axis_has_equal_steps_for_equal_ratios():
    points = [(0, 0.01), (1, 0.1), (2, 1.0)]
    ((a, b, c),) = places(line_chart([Series("a", points, 1)], x="x", y="y", log=True))
    assert a[1] - b[1] == pytest.approx(b[1] - c[1], abs=0.11)


def test_without_points_there_is_no_chart():
    assert line_chart([Series("a", [(1, None)], 1)], x="x", y="y") is None
    assert scatter_chart([], x="x", y="y", colour=1) is None


def test_names_are_escaped():
    chart = line_chart([Series("<b>", [(1, 2.0)], 1)], x="x", y="y")
    assert "&lt;b&gt;" in chart and "<b>" not in chart
    dots = scatter_chart([(1.0, 2.0, "Rods & rings")], x="x", y="y", colour=1)
    assert "<title>Rods &amp; rings</title>" in dots
