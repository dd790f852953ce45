"""What the models make of real crops: one row of figures a crop.

Images are seen a batch at a time and let go; what is kept is a few numbers a crop and
sums over all of them, so that the number of crops hardly matters to memory.
"""

# Shapes: N crops in all, B of a batch, H x W pixels and C channels; L labels; K codes.

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.schema import Split, to_unit
from tfvqgen.evaluation.image_sets import read_batches
from tfvqgen.evaluation.metrics.pixels import squared_errors, structural_similarity
from tfvqgen.evaluation.metrics.spectrum import band_power, power
from tfvqgen.generation.generator import Generator
from tfvqgen.losses import nats_per_code
from tfvqgen.models import LEVELS, Codes
from tfvqgen.training.stages.prior import code_shares

BATCH_SIZE = 16


@dataclasses.dataclass(frozen=True)
class Likelihoods:
    """What crops cost under the priors.

    Attributes:
        nats: By level, nats per code of each crop, [N].
        unigram_nats: The same of each code by its share in training alone, [N].
    """

    nats: dict[str, np.ndarray]
    unigram_nats: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class CropFigures:
    """Everything that is measured of the crops of a split.

    Attributes:
        squared_error: Of reconstructions from both levels, [N, C].
        top_only_error: From the top codes alone, [N, C].
        bottom_only_error: From the bottom codes alone, [N, C].
        similarity: SSIM of reconstructions from both levels, [N, C].
        band_power: Of originals and reconstructions, [N, 2, bands, C].
        intensity: The mean of the originals, [N, C].
        square: The mean of the originals' squares, [N, C].
        mean_power: |FFT|^2 of originals and reconstructions, the mean over crops,
            [2, H, W, C].
        mean_image: Of the originals, [H, W, C].
        code_counts: By level, how often each code is used, [K].
        likelihoods: Under the priors.
    """

    squared_error: np.ndarray
    top_only_error: np.ndarray
    bottom_only_error: np.ndarray
    similarity: np.ndarray
    band_power: np.ndarray
    intensity: np.ndarray
    square: np.ndarray
    mean_power: np.ndarray
    mean_image: np.ndarray
    code_counts: dict[str, np.ndarray]
    likelihoods: Likelihoods


class Examiner:
    """Asks models about real crops.

    Args:
        generator: The models.
        training_codes: What the priors were trained on; decides what a code costs by
            its frequency alone.
    """

    def __init__(self, generator: Generator, training_codes: CodeSplit):
        about = generator.model_info
        self._generator = generator
        self._num_embeddings = about.num_embeddings
        self._unigram_nats = {
            level: -np.log(code_shares(training_codes, level, about.num_embeddings))
            for level in LEVELS
        }
        signature = [
            tf.TensorSpec([None, *about.image_shape], about.dtype),
            tf.TensorSpec([None, len(about.labels)], tf.float32),
        ]
        self._encode = _graph(self._encode_batch, signature)
        self._reconstruct = _graph(self._reconstruct_batch, signature)

    def crop_figures(self, split: Split) -> CropFigures:
        """Measures every crop of a split.

        Raises:
            DataError: A record is damaged.
        """
        numbers = np.arange(split.num_examples)
        rows, sums = _Rows(), _Sums()
        for batch in read_batches(split, numbers, f"{split.name} crops", BATCH_SIZE):
            found = self._reconstruct(batch["image"], batch["labels"])
            found = {name: value.numpy() for name, value in found.items()}
            images = to_unit(batch["image"]).numpy()
            powers = [power(x) for x in (images, found["full"])]
            rows.add(
                squared_error=squared_errors(images, found["full"]),
                top_only_error=squared_errors(images, found["top_only"]),
                bottom_only_error=squared_errors(images, found["bottom_only"]),
                similarity=structural_similarity(images, found["full"]),
                band_power=np.stack([band_power(x) for x in powers], axis=1),
                intensity=images.mean(axis=(1, 2), dtype=np.float64),
                square=squared_errors(images, 0),
                **self._costs(found),
            )
            sums.add(
                mean_power=np.stack([x.sum(axis=0) for x in powers]),
                mean_image=images.sum(axis=0, dtype=np.float64),
                **{level: self._counts(found[level]) for level in LEVELS},
            )
        arrays = rows.arrays()
        return CropFigures(
            likelihoods=_likelihoods(arrays),
            mean_power=sums["mean_power"] / len(numbers),
            mean_image=sums["mean_image"] / len(numbers),
            code_counts={level: sums[level] for level in LEVELS},
            **arrays,
        )

    def likelihoods(self, split: Split, numbers: Sequence[int]) -> Likelihoods:
        """Asks for the likelihood alone, of some crops of a split.

        Args:
            split: Where the crops are.
            numbers: Which ones.

        Raises:
            DataError: A record is damaged.
        """
        rows = _Rows()
        for batch in read_batches(split, numbers, f"{split.name} crops", BATCH_SIZE):
            found = self._encode(batch["image"], batch["labels"])
            rows.add(**self._costs({name: x.numpy() for name, x in found.items()}))
        return _likelihoods(rows.arrays())

    def _encode_batch(self, image, labels) -> dict[str, tf.Tensor]:
        return self._with_nats(self._generator.encode(image), labels)

    def _reconstruct_batch(self, image, labels) -> dict[str, tf.Tensor]:
        found = self._generator.autoencoder.reconstruct_levels(to_unit(image))
        images = {
            name: getattr(found, name) for name in ("full", "top_only", "bottom_only")
        }
        return {**images, **self._with_nats(found.codes, labels)}

    def _with_nats(self, codes: Codes, labels) -> dict[str, tf.Tensor]:
        top = self._generator.top.logits(codes.top, labels)
        bottom = self._generator.bottom.logits(
            codes.bottom, labels, condition=codes.top
        )
        return {
            "top": codes.top,
            "bottom": codes.bottom,
            "top_nats": nats_per_code(top, codes.top),
            "bottom_nats": nats_per_code(bottom, codes.bottom),
        }

    def _costs(self, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        costs = {}
        for level in LEVELS:
            costs[f"{level}_nats"] = found[f"{level}_nats"]
            unigram = self._unigram_nats[level][found[level]]
            costs[f"{level}_unigram_nats"] = unigram.mean(axis=(1, 2))
        return costs

    def _counts(self, codes: np.ndarray) -> np.ndarray:
        return np.bincount(codes.ravel(), minlength=self._num_embeddings)


def _graph(function, signature):
    return tf.function(function, input_signature=signature, autograph=False)


def _likelihoods(arrays: dict[str, np.ndarray]) -> Likelihoods:
    """Takes the likelihoods out of the arrays by name."""
    return Likelihoods(
        nats={level: arrays.pop(f"{level}_nats") for level in LEVELS},
        unigram_nats={level: arrays.pop(f"{level}_unigram_nats") for level in LEVELS},
    )


class _Rows:
    """Named figures, a row a crop, collected batch by batch."""

    def __init__(self):
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, **parts: np.ndarray) -> None:
        for name, part in parts.items():
            self._parts.setdefault(name, []).append(part)

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self._parts.items()}


class _Sums(dict[str, Any]):
    """Named arrays, summed batch by batch."""

    def add(self, **parts: np.ndarray) -> None:
        for name, part in parts.items():
            self[name] = self[name] + part if name in self else part
