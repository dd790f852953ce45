"""The model card: what a model is, its training data, and its limits."""

from collections.abc import Mapping, Sequence

from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.workdir import Workdir

_CARD = """\
# Generator of single-cell microscopy images, `{id}`

This model generates images of single cells for a given protein localization. It can
also reconstruct and complete images, and score how likely they are. It is a
hierarchical VQ-VAE-2 with two levels of {codes} codes, and a PixelSNAIL prior for each
level (tfvqgen, preset {preset}).

| | |
|---|---|
| image size | {size} |
| image type | {dtype} |
| channels | {channels} |
| display colors | {display} |
| code maps | {top} (top), {bottom} (bottom) |
| rows in one request | at most {max_rows} |

## Training data

{credit}

Labels in the order of `class_id` (-1 means no label):

{labels}

## Training

| stage | steps | validation |
|---|---|---|
{stages}

Compare bits per code only between models that use the same codes.

## Limits

- **Generated images are not evidence.** They show what the model considers likely. No
  microscope recorded them, and their files say so. Do not publish them as data, train a
  diagnostic tool with them, or draw biological conclusions from them.
- The model knows only cells like those of its training data. It does not know other
  cell lines, stains, microscopes or pixel sizes. Rare patterns look worse or are
  missing, and wrong labels of the data lead to wrong images.
- A label describes a whole field of view and was copied to every cell in it. A cell
  with a label may not show that localization.
- Fine structure is lost: fibers are smoothed, and texture noise, where the model adds
  it, is random. Do not count small spots.
- A generated image may resemble an image of the training data. If the data set was
  small, look for near copies before you share images.

## Fingerprints

The sha256 of the data set and of the weights:

| | sha256 |
|---|---|
{fingerprints}
"""
_METRICS = (
    ("reconstruction_mse", "mean squared error {:.5f} (pixels in [0, 1])"),
    ("top_codebook_perplexity", "top codebook perplexity {:.0f}"),
    ("bottom_codebook_perplexity", "bottom codebook perplexity {:.0f}"),
    ("bits_per_code", "{:.3f} bits per code"),
    ("unigram_bits_per_code", "unigram baseline {:.3f} bits per code"),
)


def model_card(info: ModelInfo, metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Returns the card in Markdown.

    Args:
        info: Describes the model.
        metrics: Validation metrics by stage; see :func:`validation_metrics`.
    """
    size = _shape(info.image_shape[:2]) + " pixels"
    if info.pixel_size:
        size += f", {info.pixel_size:g} micrometers per pixel"
    stages = [
        f"| {stage} | {steps:,} | {_row_of_metrics(metrics.get(stage, {}))} |"
        for stage, steps in info.steps.items()
    ]
    credit = "The license and the source of the data are unknown; ask who trained it."
    shown = [f"{color} = {name}" for color, name in info.display.items() if name]
    prints = [f"| {name} | `{value}` |" for name, value in info.fingerprints.items()]
    return _CARD.format(
        id=info.id,
        codes=info.num_embeddings,
        preset=info.preset or "custom",
        size=size,
        dtype=info.dtype,
        channels=", ".join(info.channels),
        display=", ".join(shown),
        top=_shape(info.top_shape),
        bottom=_shape(info.bottom_shape),
        max_rows=info.max_rows,
        credit=info.credit or credit,
        labels="\n".join(f"- {label}" for label in info.labels) or "- none",
        stages="\n".join(stages),
        fingerprints="\n".join(prints),
    )


def validation_metrics(workdir: Workdir, info: ModelInfo) -> dict[str, dict]:
    """Returns the validation metrics of the exported weights, by stage.

    The weights of the autoencoder are the newest, those of a prior have the lowest
    validation loss.
    """
    found = {}
    for stage, step in info.steps.items():
        lines = [
            line
            for line in read_metrics(workdir.stage(stage) / "metrics.jsonl")
            if line["split"] == "validation" and line["step"] <= step
        ]
        if stage != "vqvae":
            lines.sort(key=_loss, reverse=True)
        found[stage] = lines[-1] if lines else {}
    return found


def _loss(line: Mapping[str, float | None]) -> float:
    loss = line.get("loss")
    return float("inf") if loss is None else loss


def _row_of_metrics(metrics: Mapping[str, float]) -> str:
    texts = [
        text.format(metrics[name])
        for name, text in _METRICS
        if metrics.get(name) is not None
    ]
    return ", ".join(texts) or "not measured"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
