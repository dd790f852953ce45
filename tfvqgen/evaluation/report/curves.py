"""The learning curves of a workdir's stages."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfvqgen.evaluation.report.charts import Series, line_chart
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.workdir import Workdir

_Lines = Sequence[Mapping[str, Any]]
_STEP = "step"


class Curve(NamedTuple):
    """A chart with its title."""

    title: str
    chart: str


def learning_curves(workdir: Workdir) -> list[Curve]:
    """Draws what every stage wrote down; charts without figures are left out.

    Raises:
        DataError: A stage's figures are damaged.
    """
    lines = {
        stage: read_metrics(workdir.stage(stage) / "metrics.jsonl")
        for stage in ("vqvae", "top", "bottom")
    }
    charts = {
        "Autoencoder: squared error": _squared_error(lines["vqvae"]),
        "Autoencoder: PSNR, held out": line_chart(
            [_series("both levels", lines["vqvae"], "validation", "psnr", 2)],
            x=_STEP,
            y="dB",
        ),
        "Autoencoder: codebook perplexity": _perplexity(lines["vqvae"]),
        "Top prior: cost of a code": _cost(lines["top"]),
        "Bottom prior: cost of a code": _cost(lines["bottom"]),
    }
    return [Curve(title, chart) for title, chart in charts.items() if chart]


def _squared_error(lines: _Lines) -> str | None:
    held_out = "validation"
    return line_chart(
        [
            _series("in training", lines, "train", "reconstruction_mse", 1),
            _series("held out", lines, held_out, "reconstruction_mse", 2),
            _series("top only", lines, held_out, "top_only_mse", 3),
            _series("bottom only", lines, held_out, "bottom_only_mse", 4),
            _series("mean image", lines, held_out, "mean_image_mse", 0, dashed=True),
        ],
        x=_STEP,
        y="squared error",
        log=True,
    )


def _perplexity(lines: _Lines) -> str | None:
    return line_chart(
        [
            _series("top", lines, "train", "top_codebook_perplexity", 3),
            _series("bottom", lines, "train", "bottom_codebook_perplexity", 4),
        ],
        x=_STEP,
        y="codebook perplexity",
    )


def _cost(lines: _Lines) -> str | None:
    unigram = "unigram_bits_per_code"
    return line_chart(
        [
            _series("in training", lines, "train", "bits_per_code", 1),
            _series("held out", lines, "validation", "bits_per_code", 2),
            _series("by frequency alone", lines, "train", unigram, 0, dashed=True),
        ],
        x=_STEP,
        y="bits per code",
    )


def _series(
    name: str,
    lines: _Lines,
    split: str,
    figure: str,
    colour: int,
    dashed: bool = False,
) -> Series:
    points = [
        (line["step"], line.get(figure)) for line in lines if line["split"] == split
    ]
    return Series(name, points, colour, dashed)
