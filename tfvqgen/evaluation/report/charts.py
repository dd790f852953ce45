"""Charts as inline SVG, made with matplotlib."""

import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tfvqgen.models import LEVELS

WIDTH, HEIGHT = 290, 210
# Colours that can be seen on white and on black; those of dashed lines are references.
DASHED = "#8b9097"
_COLOURS = {
    **dict.fromkeys(("unigram", "mean image", "real", "real, never seen"), DASHED),
    "training": "#7f97b2",
    **dict.fromkeys(("held out", "generated", "both levels"), "#3b82c4"),
    **dict.fromkeys(("top", "top only", "reconstructions"), "#c4683b"),
    **dict.fromkeys(("bottom", "bottom only"), "#4f9563"),
}
_TEXT = "#808080"
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tfvqgen",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-4, 5),
    "grid.color": _TEXT,
    "grid.alpha": 0.3,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
}
# Lines with so few points show them as dots.
_FEW = 12
_DASHES = (0, (3, 2))
STATISTICS = {
    "nucleus_area": "Area of the nucleus",
    "protein_inside_nucleus": "Share of the protein in the nucleus",
    "protein_distance": "Distance of the protein from the nucleus",
    "protein_granularity": "Share of the protein in grains",
}
# By title: the stage, the label of the y axis, and the split and key of each line.
_LEARNING_CURVES = {
    "Autoencoder: squared error": (
        ("vqvae", "squared error"),
        {
            "training": ("train", "reconstruction_mse"),
            "held out": ("validation", "reconstruction_mse"),
            "top only": ("validation", "top_only_mse"),
            "bottom only": ("validation", "bottom_only_mse"),
            "mean image": ("validation", "mean_image_mse"),
        },
    ),
    "Autoencoder: PSNR, held out": (
        ("vqvae", "dB"),
        {"both levels": ("validation", "psnr")},
    ),
    "Autoencoder: codebook perplexity": (
        ("vqvae", "codebook perplexity"),
        {level: ("train", f"{level}_codebook_perplexity") for level in LEVELS},
    ),
    **{
        f"{level.capitalize()} prior: cost of a code": (
            (level, "bits per code"),
            {
                "training": ("train", "bits_per_code"),
                "held out": ("validation", "bits_per_code"),
                "unigram": ("train", "unigram_bits_per_code"),
            },
        )
        for level in LEVELS
    },
}

Points = Sequence[tuple[float, float | None]]


def line_chart(
    series: Mapping[str, Points], *, x: str, y: str, log: bool = False
) -> str | None:
    """Draws lines as SVG; None if there is nothing to draw.

    The name of a line decides its colour. Missing and infinite values are left out; so
    are values of 0 on a logarithmic axis. `x` and `y` are the labels of the axes.
    """
    lines = {}
    for name, points in series.items():
        known = [(px, py) for px, py in points if py is not None and math.isfinite(py)]
        if points := [(px, py) for px, py in known if py > 0 or not log]:
            lines[name] = points
    if not lines:
        return None

    def draw(axes) -> None:
        for name, points in lines.items():
            colour = _COLOURS[name]
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                linestyle=_DASHES if colour == DASHED else "solid",
                marker="o" if colour != DASHED and len(points) <= _FEW else None,
                markersize=3.5,
                label=name,
            )
        if log:
            axes.set_yscale("log")
        where = {"loc": "outside upper left", "frameon": False}
        axes.figure.legend(ncols=min(3, len(lines)), **where)

    return _svg(draw, x, y)


def scatter_chart(
    points: Sequence[tuple[float, float, str]], *, x: str, y: str
) -> str | None:
    """Draws points and the diagonal as SVG; None if there is nothing to draw.

    The name of a point, after its two values, appears when the pointer is on it.
    """
    if not points:
        return None

    def draw(axes) -> None:
        blue = _COLOURS["generated"]
        values = [value for one in points for value in one[:2]]
        ends = (min(values), max(values))
        axes.plot(ends, ends, color=DASHED, linestyle=_DASHES)
        for index, (px, py, _) in enumerate(points):
            axes.plot(px, py, "o", color=blue, markersize=5, gid=f"point{index}")

    svg = _svg(draw, x, y)
    for index, (_, _, name) in enumerate(points):
        title = f"<g><title>{escape(name)}</title>"
        svg = svg.replace(f'<g id="point{index}">', title)
    return svg


def _svg(draw, x: str, y: str) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.set(xlabel=x, ylabel=y)
        axes.margins(0.04)
        file = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=no_metadata)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    # Within HTML no name spaces are needed, and each id must be unique.
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"| id="[a-zA-Z0-9.]+_\d+"', "", svg)
    label = escape(f"{y} over {x}")
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def learning_charts(lines: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Returns charts of the lines of ``metrics.jsonl`` of each stage, by title."""
    charts = {}
    for title, ((stage, label), curves) in _LEARNING_CURVES.items():
        series = {
            name: [(x["step"], x.get(key)) for x in lines[stage] if x["split"] == split]
            for name, (split, key) in curves.items()
        }
        charts[title] = line_chart(series, x="step", y=label, log="error" in label)
    return _existing(charts)


def metric_charts(metrics: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Returns the charts of ``metrics.json`` by section of the page and by title."""
    sections = {
        "agreement": (metrics["generation"]["label_agreement"], _recognition),
        "memorisation": (metrics["memorisation"], _memorisation),
        "biology": (metrics["biology"], _biology),
    }
    return {
        name: {} if "skipped" in section else _existing(draw(section))
        for name, (section, draw) in sections.items()
    }


def _memorisation(found: Mapping[str, Any]) -> dict[str, str | None]:
    charts = {}
    for name, one in found.items():
        quantiles = one["quantiles"]
        curves = {
            "real, never seen": quantiles["real"],
            "generated": quantiles["generated"],
        }
        charts[f"{name} features"] = _cumulative(
            curves, quantiles["shares"], "ratio of distances"
        )
    return charts


def _existing(charts: Mapping[str, str | None]) -> dict[str, str]:
    return {title: chart for title, chart in charts.items() if chart}


def _recognition(found: Mapping[str, Any]) -> dict[str, str | None]:
    points = []
    for label, generated in found["generated"]["by_label"].items():
        real = found["real"]["by_label"][label]["recognised"]["value"]
        value = generated["recognised"]["value"]
        if None not in (real, value):
            points.append((real, value, label))
    chart = scatter_chart(points, x="real", y="generated")
    return {"Share recognized, a dot per label": chart}


def _biology(found: Mapping[str, Any]) -> dict[str, str | None]:
    sets = {"real": "held_out"} | {x: x for x in ("generated", "reconstructions")}
    charts = {}
    for name, one in found["statistics"].items():
        quantiles = one["quantiles"]
        curves = {side: quantiles.get(key) for side, key in sets.items()}
        x = one["unit"] or "share of the protein"
        charts[STATISTICS[name]] = _cumulative(curves, quantiles["shares"], x)
    rings = found["rings"]
    # The first ring ends at the centre of the nucleus, one radius from its edge.
    edges = [-1.0, *rings["edges"], rings["edges"][-1] + 1]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    lines = {}
    for side, key in sets.items():
        shares = [ring["value"] for ring in rings.get(key, [])]
        lines[side] = list(zip(middles, shares, strict=bool(shares)))
    x = "radii from the edge of the nucleus"
    charts["Protein around the nucleus"] = line_chart(lines, x=x, y="share of protein")
    return charts


def _cumulative(
    quantiles: Mapping[str, Sequence[float] | None], shares: Sequence[float], x: str
) -> str | None:
    lines = {
        k: list(zip(some, shares, strict=True)) for k, some in quantiles.items() if some
    }
    return line_chart(lines, x=x, y="share of cells")
