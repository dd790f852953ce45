"""The parts of the page that compare generated cells with real ones."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from tfvqgen.evaluation.figures.confusions import confusion_picture
from tfvqgen.evaluation.report import comparison_tables as tables
from tfvqgen.evaluation.report.charts import Series, line_chart, scatter_chart
from tfvqgen.evaluation.report.comparison_verdicts import (
    agreement_verdicts,
    distance_verdicts,
    memorisation_verdicts,
)
from tfvqgen.evaluation.report.curves import Curve
from tfvqgen.evaluation.report.markup import (
    cell_picture,
    charts,
    picture,
    section,
    verdict_list,
)
from tfvqgen.evaluation.report.names import STATISTIC_NAMES
from tfvqgen.evaluation.report.pictures import Picture

# Of what charts compare: the name, the key in ``metrics.json``, colour and dashes.
_SIDES = (
    ("real", "held_out", 0, True),
    ("generated", "generated", 2, False),
    ("reconstructions", "reconstructions", 3, False),
)

_Metrics = Mapping[str, Any]


def distances(metrics: _Metrics, held_out: str) -> str:
    """Returns how far sets of cells are from held-out crops."""
    found = metrics["generation"]["distances"]
    parts = [tables.distances(one, held_out) for one in found.values()]
    return section(
        "How near generated cells come to real ones",
        "A network finds features in every picture, and what it finds in generated "
        f"cells is compared with what it finds in as many real crops ({held_out}). "
        "Beside it stand other real crops, from other wells (as near as two sets of "
        "real cells are), and their reconstructions (as near as cells made of these "
        "codes can be). A lower distance is better. Precision and density say how many "
        "generated cells look real; recall and coverage, how much of what real cells "
        "look like is there among the generated ones.",
        verdict_list(distance_verdicts(metrics)) + "".join(parts),
    )


def agreement(metrics: _Metrics, held_out: str) -> str:
    """Returns whether cells show the labels that were asked for."""
    found = metrics["generation"]["label_agreement"]
    title = "Do cells show what was asked for?"
    if "skipped" in found:
        return section(title, "", _skipped(found))
    score = metrics["generation"].get("classification_score")
    return section(
        title,
        "A classifier that has learnt from real crops which the generator has not "
        "learnt from names the localization of each cell. A generated cell is right "
        "when that is one of the labels it was asked for with. Real crops beside them "
        "show how good the classifier is.",
        verdict_list(agreement_verdicts(metrics))
        + tables.agreement(found, held_out)
        + (tables.classification_score(score, held_out) if score else "")
        + charts(_recognised(found))
        + _confusions(found)
        + "<details><summary>Label by label</summary>"
        + f"{tables.agreement_by_label(found)}</details>",
    )


def memorisation(metrics: _Metrics, neighbours: Sequence[Mapping[str, Picture]]) -> str:
    """Returns whether cells that were learnt from are repeated."""
    found = metrics["memorisation"]
    title = "Are cells of the training data repeated?"
    if "skipped" in found:
        return section(title, "", _skipped(found))
    return section(
        title,
        "For each generated cell, how far the nearest training crop is, divided by how "
        "far the nearest of as many held-out crops is. A model that repeats has ratios "
        "below those of real cells that it has never seen. Crops of few wells are less "
        "varied than those of many, so that also for real cells the ratio need not be "
        "1: compare the two.",
        verdict_list(memorisation_verdicts(metrics))
        + tables.memorisation(found)
        + charts(_ratios(found))
        + _neighbours(neighbours, metrics["provenance"]["model"]["id"]),
    )


def biology(metrics: _Metrics, held_out: str) -> str:
    """Returns whether cells measure as real ones do."""
    found = metrics["biology"]
    title = "Do generated cells measure as real ones do?"
    if "skipped" in found:
        return section(title, "", _skipped(found))
    return section(
        title,
        "The nucleus is found in its own channel, and the protein is measured in and "
        "around it, in the same way in generated cells and in real ones. The lines "
        "show which share of cells is at or below a value: where they lie on each "
        "other, the cells are alike.",
        tables.biology(found, held_out)
        + charts([*_distributions(found), *_rings(found)])
        + "<details><summary>Label by label</summary>"
        + f"{tables.biology_by_label(found)}</details>",
    )


def _skipped(found: _Metrics) -> str:
    return f"<p>Not measured: {escape(found['skipped'])}.</p>"


def _recognised(found: _Metrics) -> list[Curve]:
    points = []
    for label, generated in found["generated"]["by_label"].items():
        real = found["real"]["by_label"][label]["recognised"]["value"]
        value = generated["recognised"]["value"]
        if None not in (real, value):
            points.append((real, value, label))
    chart = scatter_chart(points, x="real", y="generated", colour=2)
    return [Curve("Recognised, a dot a label", chart)] if chart else []


def _confusions(found: _Metrics) -> str:
    pictures = []
    for name, rows in (("generated", "asked for"), ("real", "real label")):
        image = confusion_picture(
            np.array(found[name]["confusion"]), found["labels"], rows, "recognised as"
        )
        alt = f"confusions of {name} cells, percent of a row"
        pictures.append(f"<div>{picture(image, alt)}<b>{name}</b></div>")
    return f'<div class="confusions">{"".join(pictures)}</div>'


def _ratios(found: _Metrics) -> list[Curve]:
    made = []
    for name, one in found.items():
        quantiles = one["quantiles"]
        lines = [
            _cumulative(side, quantiles[key], quantiles["shares"], colour, dashed)
            for side, key, colour, dashed in (
                ("real, never seen", "real", 0, True),
                ("generated", "generated", 2, False),
            )
            if quantiles[key]
        ]
        chart = line_chart(lines, x="ratio of distances", y="share of cells")
        if chart:
            made.append(Curve(f"By {name} features", chart))
    return made


def _neighbours(neighbours: Sequence[Mapping[str, Picture]], model: str) -> str:
    rows = []
    for views in neighbours:
        cells = "".join(
            f"<div>{cell_picture(view, name, model)}<b>{name}</b></div>"
            for name, view in views.items()
        )
        rows.append(f'<div class="crop"><div class="columns three">{cells}</div></div>')
    if not rows:
        return ""
    return (
        '<p class="caption">The generated cells that are nearest to training crops by '
        "comparison, each with its nearest training crop and its nearest held-out "
        f'one.</p><div class="crops small">{"".join(rows)}</div>'
    )


def _distributions(found: _Metrics) -> list[Curve]:
    made = []
    for name, statistic in found["statistics"].items():
        quantiles = statistic["quantiles"]
        lines = [
            _cumulative(side, quantiles[key], quantiles["shares"], colour, dashed)
            for side, key, colour, dashed in _SIDES
            if key in quantiles
        ]
        unit = statistic["unit"] or "share of the protein"
        chart = line_chart(lines, x=unit, y="share of cells")
        if chart:
            made.append(Curve(STATISTIC_NAMES[name], chart))
    return made


def _rings(found: _Metrics) -> list[Curve]:
    rings = found["rings"]
    edges = rings["edges"]
    # The first ring ends at the nucleus' centre, one radius from its edge.
    starts = [-1.0, *edges]
    ends = [*edges, edges[-1] + 1]
    middles = [(a + b) / 2 for a, b in zip(starts, ends, strict=True)]
    lines = []
    for side, key, colour, dashed in _SIDES:
        shares = [one["value"] for one in rings.get(key, [])]
        if shares:
            points = list(zip(middles, shares, strict=True))
            lines.append(Series(side, points, colour, dashed))
    chart = line_chart(lines, x="radii from the nucleus' edge", y="share of protein")
    return [Curve("Protein around the nucleus", chart)] if chart else []


def _cumulative(
    name: str,
    quantiles: Sequence[float],
    shares: Sequence[float],
    colour: int,
    dashed: bool,
) -> Series:
    return Series(name, list(zip(quantiles, shares, strict=True)), colour, dashed)
