"""Metrics of models on real crops: ``reconstruction``, ``codes`` and ``priors``.

Images are processed in batches; only a few numbers per crop and sums over all crops are
kept, so that memory hardly depends on the number of crops.
"""

# Shapes: N crops, B of a batch, H x W pixels and C channels; L labels; K codes.

import collections
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.schema import Split, to_unit
from tfvqgen.evaluation.image_sets import read_batches
from tfvqgen.evaluation.metrics.image_quality import (
    BANDS,
    band_power,
    power,
    psnr,
    squared_errors,
    structural_similarity,
)
from tfvqgen.evaluation.metrics.intervals import (
    Statistic,
    interval_origin,
    metric,
    metrics,
)
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.losses import nats_per_code, to_bits
from tfvqgen.models import LEVELS, Codes
from tfvqgen.training.stages import vqvae
from tfvqgen.training.stages.prior import code_shares

BATCH_SIZE = 16


class Likelihoods(NamedTuple):
    """Nats per code of crops by level, [N]: under the priors, and by frequency."""

    nats: dict[str, np.ndarray]
    unigram_nats: dict[str, np.ndarray]


class CropMetrics(NamedTuple):
    """Measurements of the crops of a split."""

    squared_error: np.ndarray  # Error of reconstructions from both levels, [N, C].
    top_only_error: np.ndarray  # The same from the top codes alone, [N, C].
    bottom_only_error: np.ndarray  # The same from the bottom codes alone, [N, C].
    similarity: np.ndarray  # SSIM of reconstructions from both levels, [N, C].
    band_power: np.ndarray  # Of originals and reconstructions, [N, 2, bands, C].
    square: np.ndarray  # Mean square of the originals, [N, C].
    mean_image: np.ndarray  # Mean of the originals, [H, W, C].
    code_counts: dict[str, np.ndarray]  # How often each code is used, by level, [K].
    likelihoods: Likelihoods  # Cost of the codes.


class CropEvaluator:
    """Runs models on real crops; the training codes give the unigram cost."""

    def __init__(self, generator: Generator, training_codes: CodeSplit):
        info = generator.model_info
        self._generator = generator
        self._unigram_nats = {
            level: -np.log(code_shares(training_codes, level, info.num_embeddings))
            for level in LEVELS
        }
        signature = [
            tf.TensorSpec([None, *info.image_shape], info.dtype),
            tf.TensorSpec([None, len(info.labels)], tf.float32),
        ]
        graph = tf.function(input_signature=signature, autograph=False)
        self._encode = graph(self._encode_batch)
        self._reconstruct = graph(self._reconstruct_batch)

    def evaluate(self, split: Split) -> CropMetrics:
        """Measures all crops of a split; raises DataError if a record is damaged."""
        numbers = np.arange(split.num_examples)
        rows = collections.defaultdict(list)
        image_sum = np.zeros(self._generator.model_info.image_shape)
        num_embeddings = self._generator.model_info.num_embeddings
        code_counts = {level: np.zeros(num_embeddings, np.int64) for level in LEVELS}
        costs: list[Likelihoods] = []
        for batch in read_batches(split, numbers, f"{split.name} crops", BATCH_SIZE):
            found = self._reconstruct(batch["image"], batch["labels"])
            found = {name: value.numpy() for name, value in found.items()}
            images, full = to_unit(batch["image"]).numpy(), found["full"]
            powers = [band_power(power(x)) for x in (images, full)]
            rows["squared_error"].append(squared_errors(images, full))
            rows["top_only_error"].append(squared_errors(images, found["top_only"]))
            some = squared_errors(images, found["bottom_only"])
            rows["bottom_only_error"].append(some)
            rows["similarity"].append(structural_similarity(images, full))
            rows["band_power"].append(np.stack(powers, axis=1))
            rows["square"].append(squared_errors(images, 0))
            costs.append(self._costs(found))
            image_sum += images.sum(axis=0, dtype=np.float64)
            for level, counts in code_counts.items():
                counts += np.bincount(found[level].ravel(), minlength=len(counts))
        return CropMetrics(
            likelihoods=_joined(costs),
            mean_image=image_sum / len(numbers),
            code_counts=code_counts,
            **{name: np.concatenate(parts) for name, parts in rows.items()},
        )

    def likelihoods(self, split: Split, numbers: Sequence[int]) -> Likelihoods:
        """Returns the cost of the codes of some crops of a split."""
        costs = []
        for batch in read_batches(split, numbers, f"{split.name} crops", BATCH_SIZE):
            found = self._encode(batch["image"], batch["labels"])
            costs.append(self._costs({name: x.numpy() for name, x in found.items()}))
        return _joined(costs)

    def _encode_batch(self, image, labels) -> dict[str, tf.Tensor]:
        return self._with_nats(self._generator.encode(image), labels)

    def _reconstruct_batch(self, image, labels) -> dict[str, tf.Tensor]:
        found = self._generator.autoencoder.reconstruct_levels(to_unit(image))
        images = found._asdict()
        codes = images.pop("codes")
        return {**images, **self._with_nats(codes, labels)}

    def _with_nats(self, codes: Codes, labels) -> dict[str, tf.Tensor]:
        top = self._generator.top.logits(codes.top, labels)
        bottom = self._generator.bottom.logits(codes.bottom, labels, codes.top)
        return {
            **codes._asdict(),
            "top_nats": nats_per_code(top, codes.top),
            "bottom_nats": nats_per_code(bottom, codes.bottom),
        }

    def _costs(self, found: Mapping[str, np.ndarray]) -> Likelihoods:
        return Likelihoods(
            nats={level: found[f"{level}_nats"] for level in LEVELS},
            unigram_nats={
                level: self._unigram_nats[level][found[level]].mean(axis=(1, 2))
                for level in LEVELS
            },
        )


def reconstruction_section(
    crops: CropMetrics, info: ModelInfo, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns the quality of reconstructions, over all channels and for each."""

    def each(rows: np.ndarray, statistic: Statistic) -> dict[str, Any]:
        return {"channels": metrics(rows, info.channels, seed, statistic)}

    def all_and_each(rows: np.ndarray, statistic: Statistic) -> dict[str, Any]:
        return metric(rows.mean(axis=1), seed, statistic) | each(rows, statistic)

    return {
        **_origin(split, len(crops.squared_error), seed),
        "mse": all_and_each(crops.squared_error, np.asarray),
        "psnr": all_and_each(crops.squared_error, psnr),
        "ssim": all_and_each(crops.similarity, np.asarray),
        **{
            f"power_kept_{band}": each(crops.band_power[:, :, index], _power_kept)
            for index, band in enumerate(BANDS)
        },
    }


def codes_section(
    crops: CropMetrics, info: ModelInfo, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns how the codes are used, and what each level carries alone."""
    mean_image_mse = np.mean(crops.square.mean(axis=0)) - np.mean(crops.mean_image**2)
    use = {}
    for level, counts in crops.code_counts.items():
        perplexity = vqvae.codebook_perplexity(counts)
        use[level] = {
            "usage": vqvae.usage(counts),
            "codebook_perplexity": perplexity,
            "entropy_bits": to_bits(math.log(perplexity)),
        }
    return {
        **_origin(split, len(crops.squared_error), seed),
        "num_embeddings": info.num_embeddings,
        **use,
        "top_only_mse": metric(crops.top_only_error.mean(axis=1), seed),
        "bottom_only_mse": metric(crops.bottom_only_error.mean(axis=1), seed),
        "mean_image_mse": {"value": float(mean_image_mse)},
    }


def priors_section(
    splits: Mapping[str, Likelihoods], info: ModelInfo, *, seed: int
) -> dict[str, Any]:
    """Returns the cost of codes under the priors, by split."""
    return {
        split: {
            **_origin(split, len(likelihoods.nats["top"]), seed),
            **{level: _prior_metrics(likelihoods, level, seed) for level in LEVELS},
            "bits_per_pixel": metric(_bits_per_pixel(likelihoods, info), seed),
        }
        for split, likelihoods in splits.items()
    }


def _prior_metrics(likelihoods: Likelihoods, level: str, seed: int) -> dict[str, Any]:
    nats, unigram = likelihoods.nats[level], likelihoods.unigram_nats[level]
    both = np.stack([nats, unigram], axis=1)
    return {
        "nats_per_code": metric(nats, seed),
        "bits_per_code": metric(to_bits(nats), seed),
        "unigram_bits_per_code": metric(to_bits(unigram), seed),
        "saved_over_unigram": metric(both, seed, lambda means: 1 - means[0] / means[1]),
    }


def _bits_per_pixel(likelihoods: Likelihoods, info: ModelInfo) -> np.ndarray:
    """Returns the cost of both code maps of each crop over its pixels, [N]."""
    top, bottom = (likelihoods.nats[level] for level in LEVELS)
    nats = top * math.prod(info.top_shape) + bottom * math.prod(info.bottom_shape)
    return to_bits(nats) / math.prod(info.image_shape[:2])


def _power_kept(powers: np.ndarray) -> np.ndarray:
    """Returns the power of reconstructions over that of originals, [2, C] -> [C]."""
    original, reconstruction = powers
    with np.errstate(divide="ignore", invalid="ignore"):
        return reconstruction / original


def _origin(split: str, number: int, seed: int) -> dict[str, Any]:
    return {"split": split, "n": number, **interval_origin(seed)}


def _joined(costs: Sequence[Likelihoods]) -> Likelihoods:
    joined = (
        {level: np.concatenate([part[level] for part in parts]) for level in LEVELS}
        for parts in zip(*costs, strict=True)
    )
    return Likelihoods(*joined)
