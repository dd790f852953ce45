"""The model card: what a model is, what it learned from and what it is not for."""

from collections.abc import Mapping

from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.workdir import Workdir

LIMITS = """\
- **Generated images are not evidence.** They are what a model finds likely; nothing in
  them was seen under a microscope. They say so within their files. Do not publish,
  train a diagnostic on or conclude from them as if they were data.
- It knows the cells that it was trained on: other cell lines, stainings, microscopes
  and sizes of pixels are not in it. What is rare in the data is worse, and may be
  missing; what is wrong in the data's labels is wrong in the images.
- Labels are a field's, copied to each of its cells: a cell of a label need not show it.
- The finest structure is not seen: fibres are smoothed, and grain, where the model adds
  any, is drawn by chance. Do not count specks.
- A seed's images may resemble images of the data: look for near copies before you
  share images of a model of few data.
"""


def model_card(about: ModelInfo, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Returns the card in Markdown.

    Args:
        about: Describes the model.
        figures: Of each stage, measured on held-out data; see :func:`held_out`.
    """
    height, width, _ = about.image_shape
    size = f", {about.pixel_size:g} um a pixel" if about.pixel_size else ""
    labels = "\n".join(f"- {label}" for label in about.labels) or "- none"
    shown = ", ".join(
        f"{colour} = {name}" for colour, name in about.display.items() if name
    )
    fingerprints = "\n".join(
        f"| {name} | `{value}` |" for name, value in about.fingerprints.items()
    )
    rows = "\n".join(
        f"| {stage} | {about.steps[stage]:,} | {_sentence(figures.get(stage, {}))} |"
        for stage in about.steps
    )
    return f"""\
# A generator of single-cell images, `{about.id}`

A two-level VQ-VAE-2 with {about.num_embeddings} codes a level and two PixelSNAIL priors
(tfvqgen, preset {about.preset or "of its own"}). It draws images of single cells by the
localization of a protein, reconstructs and completes images, and says how likely they
are.

| | |
|---|---|
| images | {height} x {width} pixels{size}, {about.dtype} |
| channels | {", ".join(about.channels)} |
| pictures show | {shown} |
| codes | {_by(about.top_shape)} top, {_by(about.bottom_shape)} bottom |
| rows a request | at most {about.max_rows} |

## Data and credit

{about.credit or "The data's licence and source are not said; ask whoever trained it."}

Labels, in the order of `class_id` (-1 is none of them):

{labels}

## Training

| stage | steps | on held-out data |
|---|---|---|
{rows}

Bits per code compare models of the same codes only.

## Limits

{LIMITS}
## Exactly which

| | sha256 |
|---|---|
{fingerprints}
"""


def held_out(workdir: Workdir, about: ModelInfo) -> dict[str, dict[str, float]]:
    """Returns what validation says of the weights that a model has.

    Of the autoencoder these are the newest, of a prior the averages with the lowest
    loss.
    """
    found = {}
    for stage, step in about.steps.items():
        lines = [
            line
            for line in read_metrics(workdir.stage(stage) / "metrics.jsonl")
            if line["split"] == "validation" and line["step"] <= step
        ]
        if stage != "vqvae":
            lines.sort(key=lambda line: -_number(line.get("loss")))
        found[stage] = lines[-1] if lines else {}
    return found


def _number(value) -> float:
    return float("inf") if value is None else value


def _sentence(figures: Mapping[str, float]) -> str:
    parts = [
        text.format(figures[name])
        for name, text in (
            ("reconstruction_mse", "mean squared error {:.5f} (pixels in [0, 1])"),
            ("top_codebook_perplexity", "codebook perplexity {:.0f} top"),
            ("bottom_codebook_perplexity", "{:.0f} bottom"),
            ("bits_per_code", "{:.3f} bits per code"),
            ("unigram_bits_per_code", "frequencies alone {:.3f}"),
        )
        if figures.get(name) is not None
    ]
    return ", ".join(parts) or "not measured"


def _by(shape) -> str:
    return " x ".join(map(str, shape))
