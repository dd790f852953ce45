"""The report as a single page that needs no other files: ``index.html``."""

import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from tfvqgen.evaluation.report.charts import STATISTICS, metric_charts
from tfvqgen.evaluation.report.report_images import ReportImages, confusion_images
from tfvqgen.evaluation.report.verdicts import all_verdicts
from tfvqgen.models import LEVELS

_SETS = {
    "generated": "generated cells",
    "reconstructions": "reconstructions",
    "real": "other real crops",
}


def render(
    metrics: Mapping[str, Any],
    images: ReportImages,
    curves: Mapping[str, str],
    *,
    held_out: str,
) -> str:
    """Returns the page of ``metrics.json``; `held_out` is the evaluated split."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfvqgen.evaluation.report", "."),
        autoescape=True,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    style = resources.files("tfvqgen.evaluation.report").joinpath("report.css")
    return environment.get_template("report.html.j2").render(
        metrics,
        info=metrics["provenance"]["model"],
        style=style.read_text("utf-8"),
        images=images,
        confusions=confusion_images(metrics["generation"]["label_agreement"]),
        charts={**metric_charts(metrics), "curves": curves},
        verdicts=all_verdicts(metrics, held_out),
        held_out=held_out,
        levels=LEVELS,
        sets=_SETS,
        statistics=STATISTICS,
    )


def number(value: float | None, style: str = "number") -> str:
    """Returns a number as text, with three digits by default; None gives a dash."""
    if value is None:
        return "\N{EN DASH}"
    if style != "number":
        return format(
            value, {"percent": ".1%", "decibels": ".2f", "count": ",.0f"}[style]
        )
    if value and abs(value) < 1:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{min(digits, 6)}f}"
    if abs(value) < 100:
        return f"{value:.2f}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
