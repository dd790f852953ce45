"""The model card: what a model is, its training data, and its limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.workdir import Workdir

_TEMPLATE = Path(__file__).with_name("model_card_template.md")
_METRICS = (
    ("reconstruction_mse", "mean squared error {:.5f} (pixels in [0, 1])"),
    ("top_codebook_perplexity", "top codebook perplexity {:.0f}"),
    ("bottom_codebook_perplexity", "bottom codebook perplexity {:.0f}"),
    ("bits_per_code", "{:.3f} bits per code"),
    ("unigram_bits_per_code", "unigram baseline {:.3f} bits per code"),
)


def model_card(info: ModelInfo, metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Returns the card in Markdown; for the metrics see :func:`validation_metrics`."""
    size = _shape(info.image_shape[:2]) + " pixels"
    if info.pixel_size:
        size += f", {info.pixel_size:g} micrometers per pixel"
    stages = []
    for stage, steps in info.steps.items():
        found = metrics.get(stage, {})
        known = [(text, found[n]) for n, text in _METRICS if found.get(n) is not None]
        row = ", ".join(text.format(value) for text, value in known)
        stages.append(f"| {stage} | {steps:,} | {row or 'not measured'} |")
    credit = "The license and the source of the data are unknown; ask who trained it."
    shown = [f"{color} = {name}" for color, name in info.display.items() if name]
    prints = [f"| {name} | `{value}` |" for name, value in info.fingerprints.items()]
    return _TEMPLATE.read_text("utf-8").format(
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
            known = [line for line in lines if line.get("loss") is not None]
            lines = sorted(known, key=lambda line: line["loss"], reverse=True)
        found[stage] = lines[-1] if lines else {}
    return found


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
