"""The stage ``vqvae``: the two-level autoencoder."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data import input_pipeline, schema
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.models import LEVELS, VQVAE2
from tfvqgen.training.stages import adversary, health
from tfvqgen.training.stages.base import Batch, ShardStage, Sums

# Shapes: B images of one replica, H x W pixels, C channels; K codes of a codebook.


RECONSTRUCTIONS = ("reconstruction", "top_only", "bottom_only")
PICTURED = 8


class AutoencoderStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.VQVAE2` on a data set's images.

    Args:
        config: The configuration.
        dataset: The shards; their images are of the configured shape.
    """

    name = "vqvae"

    def __init__(self, config: Config, dataset: schema.Dataset):
        self.config = config.vqvae
        self.augment = config.vqvae.augment
        self.info = dataset.info
        self.training_split = dataset.split("train")
        self.validation_split = dataset.split("validation")
        self.model = VQVAE2(config.vqvae, seed=config.seed)
        self.model.build()
        # After the model, whose first weights are then those without a critic.
        if self.config.adversarial_weight:
            self.adversary = adversary.Adversary(self.config)
        self._perplexities: dict[str, float] = {}
        codes = (self.config.num_embeddings,)
        self.sum_shapes = {
            "loss": (),
            "reconstruction_loss": (),
            **{f"{name}_loss": () for name in self.config.further_loss_weights},
            **({"local_power_loss": ()} if self.config.texture_noise_weight else {}),
            "reconstruction_mse": (),
            "commitment_loss": (),
            "codebook_loss": (),
            **(dict.fromkeys(adversary.FIGURES, ()) if self.adversary else {}),
            "top_counts": codes,
            "bottom_counts": codes,
        }

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """See :meth:`Stage.loss`."""
        images = schema.to_unit(batch["image"])
        output = self.model(images, training=True)
        losses = output.losses
        if self.adversary:
            contest = self.adversary.contest(
                images, output.reconstruction, self.model.reconstruction_losses
            )
            loss = losses["loss"] + contest.loss
            losses = {**losses, "loss": loss, **contest.figures}
        counts = _code_counts(output.codes, self.config.num_embeddings)
        # Codes that were not used for quantization do not count as used.
        steps = self.model.bottom_quantizer.steps.value
        quantized = tf.cast(steps > self.config.quantize_after, tf.float32)
        counts = {name: quantized * value for name, value in counts.items()}
        return losses["loss"], {**losses, **counts}

    def validation_sums(self, batch: Batch) -> Sums:
        """See :meth:`Stage.validation_sums`; squared errors are per channel, [C]."""
        images = schema.to_unit(batch["image"])
        weight = batch["weight"]
        levels = self.model.reconstruct_levels(images)
        errors = {
            f"{name}_error": tf.einsum(
                "b,bhwc->c", weight, tf.math.squared_difference(images, reconstruction)
            )
            for name, reconstruction in zip(RECONSTRUCTIONS, levels[:3], strict=True)
        }
        counts = _code_counts(levels.codes, self.config.num_embeddings, weight)
        return {
            **errors,
            **self._critic_sums(images, levels.full, weight),
            **counts,
            "examples": tf.reduce_sum(weight),
            "images": tf.einsum("b,bhwc->hwc", weight, images),
            "squares": tf.einsum("b,bhwc->c", weight, tf.square(images)),
        }

    def _critic_sums(self, images, reconstruction, weight) -> Sums:
        if not self.adversary:
            return {}
        accuracies = self.adversary.accuracies(images, reconstruction)
        return {name: tf.reduce_sum(weight * each) for name, each in accuracies.items()}

    def validation_metrics(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """See :meth:`Stage.validation_metrics`."""
        height, width, _ = self.config.image_shape
        figures = {}
        for name in RECONSTRUCTIONS:
            per_channel = sums[f"{name}_error"] / (sums["examples"] * height * width)
            figures[f"{name}_mse"] = float(np.mean(per_channel))
            for channel, error in zip(self.info.channels, per_channel, strict=True):
                figures[f"{name}_mse/{channel}"] = float(error)
        mean_image = sums["images"] / sums["examples"]
        squares = sums["squares"] / (sums["examples"] * height * width)
        figures["mean_image_mse"] = float(np.mean(squares) - np.mean(mean_image**2))
        for name in adversary.ACCURACIES:
            if name in sums:
                figures[name] = float(sums[name] / sums["examples"])
        figures["psnr"] = -10 * float(np.log10(figures["reconstruction_mse"]))
        return {"loss": figures["reconstruction_mse"], **figures, **_use_figures(sums)}

    def training_metrics(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """See :meth:`Stage.training_metrics`."""
        means = {
            name: float(value) / steps
            for name, value in sums.items()
            if value.ndim == 0
        }
        return {**means, **_use_figures(epoch)}

    def pictures(self) -> dict[str, np.ndarray]:
        """Returns the sheet of reconstructions: original, both levels, each alone."""
        examples = input_pipeline.evaluation_examples(
            self.validation_split, batch_size=PICTURED
        )
        images = next(iter(examples))["image"]
        levels = self.model.reconstruct_levels(schema.to_unit(images))
        columns = {
            "original": schema.to_unit(images).numpy(),
            "reconstruction": levels.full.numpy(),
            "top only": levels.top_only.numpy(),
            "bottom only": levels.bottom_only.numpy(),
        }
        return {
            "reconstructions": sheet_of_columns(columns, self.info.display_channels)
        }

    def warnings(self, figures: Mapping[str, float]) -> list[str]:
        """Returns what :mod:`health` says of levels, once they had time, and critic."""
        young = max(self.config.warmup_steps, 2 * self.config.quantize_after)
        if int(self.model.bottom_quantizer.steps.numpy()) <= young:
            return []
        warnings = health.level_warnings(figures)
        if self.adversary and self.adversary.is_pulling:
            warnings += health.critic_warnings(figures, self._perplexities)
        else:
            # Of this run alone: what a run that goes on is not told, nobody misses.
            self._perplexities = health.perplexities(figures)
        return warnings


def _code_counts(codes, num_embeddings, weight=None) -> Sums:
    """Counts how often each code is used in rows of weight 1, float32 [K] a level."""
    counts = {}
    for level, level_codes in zip(LEVELS, codes, strict=True):
        weights = tf.ones(tf.shape(level_codes))
        if weight is not None:
            weights *= weight[:, None, None]
        counts[f"{level}_counts"] = tf.math.unsorted_segment_sum(
            weights, level_codes, num_embeddings
        )
    return counts


def _use_figures(sums: Mapping[str, np.ndarray]) -> dict[str, float]:
    figures = {}
    for level in LEVELS:
        counts = sums[f"{level}_counts"]
        if not counts.any():
            continue
        figures[f"{level}_usage"] = health.usage(counts)
        figures[f"{level}_codebook_perplexity"] = health.codebook_perplexity(counts)
    return figures
