"""What `benchmarks.quality` measures of trained autoencoders and says of them."""

# Shapes: N crops of H x W pixels and C channels; F features; K codes.

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.reconstruction_measures import BATCH_SIZE, LEVELS, code_figures
from tfvqgen.data import schema
from tfvqgen.evaluation.extractors.extractor import Extractor, frechet_name
from tfvqgen.evaluation.metrics import frechet
from tfvqgen.evaluation.metrics.intervals import bootstrap_interval
from tfvqgen.evaluation.metrics.pixels import (
    psnr,
    squared_errors,
    structural_similarity,
)
from tfvqgen.evaluation.metrics.spectrum import BANDS, band_power, power
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.trained_models import load_autoencoder
from tfvqgen.training.workdir import Workdir

SEED = 0  # Of drawings of crops.
# Significant ones of the figures in a table.
DIGITS = 3


@dataclasses.dataclass(frozen=True)
class Measured:
    """What is measured of one autoencoder, crop by crop where there are intervals.

    Attributes:
        squared_error: [N, C].
        similarity: SSIM, [N, C].
        band_power: Of originals and reconstructions, [N, 2, bands, C].
        frechet: Distances by name, between reconstructions and originals.
        further: Numbers by name: of the codes, and of training.
    """

    squared_error: np.ndarray
    similarity: np.ndarray
    band_power: np.ndarray
    frechet: dict[str, float]
    further: dict[str, float]


def held_out_crops(split: schema.Split, most: int) -> np.ndarray:
    """Returns the first crops of a split, uint8 or uint16 [N, H, W, C]."""
    return np.stack(schema.read_images(split, range(min(most, split.num_examples))))


def features(
    extractors: Sequence[Extractor], images: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the features of images by the extractors' names, [N, F] each."""
    return {
        one.name: np.concatenate([one.features(batch) for batch in _batches(images)])
        for one in extractors
    }


def measure(
    workdir: Path,
    crops: np.ndarray,
    extractors: Sequence[Extractor],
    originals: Mapping[str, np.ndarray],
) -> Measured:
    """Measures the autoencoder of a workdir.

    Args:
        workdir: Where it was trained.
        crops: What it is to reconstruct, [N, H, W, C].
        extractors: For Fréchet distances.
        originals: The :func:`features` of the crops.
    """
    autoencoder, _ = load_autoencoder(Workdir(workdir))
    codes_of = tf.function(autoencoder.encode)
    decode = tf.function(autoencoder.decode)
    num_embeddings = autoencoder.config.num_embeddings
    counts = {level: np.zeros(num_embeddings) for level in LEVELS}
    errors, similarities, powers, stored = [], [], [], []
    for batch in _batches(crops):
        images = schema.to_unit(batch).numpy()
        codes = codes_of(images)
        output = decode(codes).numpy()
        errors.append(squared_errors(images, output))
        similarities.append(structural_similarity(images, output))
        both = [band_power(power(each)) for each in (images, output)]
        powers.append(np.stack(both, axis=1))
        stored.append(schema.from_unit(output, batch.dtype.name).numpy())
        for level, found in zip(LEVELS, codes, strict=True):
            flat = np.asarray(found).ravel()
            counts[level] += np.bincount(flat, minlength=num_embeddings)
    found = features(extractors, np.concatenate(stored))
    return Measured(
        squared_error=np.concatenate(errors),
        similarity=np.concatenate(similarities),
        band_power=np.concatenate(powers),
        frechet={
            frechet_name(name): frechet.frechet_distance(
                frechet.moments(found[name]), frechet.moments(originals[name])
            )
            for name in found
        },
        further={**code_figures(counts), "images_per_second": _speed(workdir)},
    )


def figures(seeds: Sequence[Measured]) -> dict[str, Any]:
    """Returns the figures of a configuration, those with intervals as ``{value, ...}``.

    Args:
        seeds: One for each seed; figures are of means over them.
    """
    errors = _mean_over(seeds, "squared_error").mean(axis=1)
    similarities = _mean_over(seeds, "similarity").mean(axis=1)
    powers = _mean_over(seeds, "band_power")
    kept = _with_interval(powers, lambda means: means[1] / means[0])
    return {
        "mse": _with_interval(errors),
        "psnr": _with_interval(errors, psnr),
        "ssim": _with_interval(similarities),
        **{
            f"power_kept_{band}": {part: values[i] for part, values in kept.items()}
            for i, band in enumerate(BANDS)
        },
        **_means([one.frechet for one in seeds]),
        **_means([one.further for one in seeds]),
    }


def ratios(seeds: Sequence[Measured], others: Sequence[Measured]) -> dict[str, Any]:
    """Returns figures over those of another configuration on the same crops.

    Args:
        seeds: Of the one, for each seed.
        others: Of the other.
    """
    errors = np.stack(
        [_mean_over(x, "squared_error").mean(axis=1) for x in (seeds, others)], axis=1
    )
    distances = [_means([one.frechet for one in x]) for x in (seeds, others)]
    return {
        "mse_ratio": _with_interval(errors, lambda means: means[0] / means[1]),
        **{
            f"{name}_ratio": _rounded(distances[0][name] / distances[1][name])
            for name in distances[0]
        },
    }


def table(figures_by_name: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns figures side by side as lines of text, a column a configuration."""
    rows = [["", *figures_by_name]]
    for measure_name in next(iter(figures_by_name.values())):
        cells = [_text(figures[measure_name]) for figures in figures_by_name.values()]
        rows.append([measure_name, *cells])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def _batches(images: np.ndarray):
    for start in range(0, len(images), BATCH_SIZE):
        yield images[start : start + BATCH_SIZE]


def _speed(workdir: Path) -> float:
    """Returns the median speed of training."""
    lines = read_metrics(workdir / "vqvae" / "metrics.jsonl")
    return float(np.median([x["images_per_second"] for x in lines if _is_train(x)]))


def _is_train(line: Mapping[str, Any]) -> bool:
    return line["split"] == "train"


def _mean_over(seeds: Sequence[Measured], name: str) -> np.ndarray:
    return np.mean([getattr(one, name) for one in seeds], axis=0)


def _means(numbers: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {
        name: _rounded(np.mean([one[name] for one in numbers])) for name in numbers[0]
    }


def _with_interval(rows: np.ndarray, statistic=np.asarray) -> dict[str, Any]:
    low, high = bootstrap_interval(rows, statistic, seed=SEED)
    # A measure that falls with the mean turns the ends around; sorted they are right.
    ends = np.sort([low, high], axis=0)
    return {
        "value": _rounded(statistic(rows.mean(axis=0))),
        "low": _rounded(ends[0]),
        "high": _rounded(ends[1]),
    }


def _rounded(values) -> Any:
    """Returns plain numbers of five significant digits."""
    return np.vectorize(lambda x: float(f"{x:.5g}"))(values).tolist()


def _text(figure: Any) -> str:
    if isinstance(figure, Mapping):
        value, low, high = (_text(figure[n]) for n in ("value", "low", "high"))
        return value if "[" in value else f"{value} ({low} to {high})"
    if isinstance(figure, list):
        return "[" + " ".join(_text(each) for each in figure) + "]"
    return f"{figure:.{DIGITS}g}"
