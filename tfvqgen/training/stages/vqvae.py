"""The stage ``vqvae``: training of the two-level autoencoder."""

# Shapes: B images of one replica, H x W pixels, C channels; K codes of a codebook.

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data import input_pipeline, schema
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.layers import vector_quantizer
from tfvqgen.models import LEVELS, VQVAE2
from tfvqgen.training.stages import adversary
from tfvqgen.training.stages.base import Batch, Metrics, ShardStage, Sums, Totals

RECONSTRUCTIONS = ("reconstruction", "top_only", "bottom_only")
# Images shown on the sheet of reconstructions.
NUM_SHOWN = 8

# A top level of a lower perplexity is nearly constant.
TRIVIAL_PERPLEXITY = 1.5
# A level is unused if the error without it is at most so many times as large.
UNUSED_ERROR_RATIO = 1.05
COLLAPSED_USAGE = 0.05
# A critic that is more often right than this gives no useful gradient.
WON_ACCURACY = 0.97


class AutoencoderStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.VQVAE2` on images of the configured shape."""

    name = "vqvae"

    def __init__(self, config: Config, dataset: schema.Dataset):
        self.config = config.vqvae
        self.augment = self.config.augment
        self.info = dataset.info
        self.training_split = dataset.split("train")
        self.validation_split = dataset.split("validation")
        self.model = VQVAE2(config.vqvae, seed=config.seed)
        self.model.build()
        # After the model, so that its initial weights are the same without a critic.
        if self.config.adversarial_weight:
            self.adversary = adversary.Adversary(self.config)
        codes = (self.config.num_embeddings,)
        self.sum_shapes = {
            "loss": (),
            "reconstruction_loss": (),
            **{f"{name}_loss": () for name in self.config.further_loss_weights},
            **({"local_power_loss": ()} if self.config.texture_noise_weight else {}),
            "reconstruction_mse": (),
            "commitment_loss": (),
            "codebook_loss": (),
            **(dict.fromkeys(adversary.METRICS, ()) if self.adversary else {}),
            "top_counts": codes,
            "bottom_counts": codes,
        }

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        images = schema.to_unit(batch["image"])
        output = self.model(images, training=True)
        losses = output.losses
        if self.adversary:
            loss, metrics = self.adversary.step(
                images, output.reconstruction, self.model.reconstruction_losses
            )
            losses = {**losses, **metrics, "loss": losses["loss"] + loss}
        counts = _code_counts(output.codes, self.config.num_embeddings)
        # Before quantization starts the codes are not used.
        steps = self.model.bottom_quantizer.steps.value
        quantized = tf.cast(steps > self.config.quantize_after, tf.float32)
        counts = {name: quantized * value for name, value in counts.items()}
        return losses["loss"], {**losses, **counts}

    def validation_sums(self, batch: Batch) -> Sums:
        """Squared errors are per channel, [C]."""
        images = schema.to_unit(batch["image"])
        weight = batch["weight"]
        levels = self.model.reconstruct_levels(images)
        sums = {
            f"{name}_error": tf.einsum(
                "b,bhwc->c", weight, tf.math.squared_difference(images, reconstruction)
            )
            for name, reconstruction in zip(RECONSTRUCTIONS, levels[:3], strict=True)
        }
        if self.adversary:
            accuracies = self.adversary.accuracies(images, levels.full)
            sums |= {n: tf.reduce_sum(weight * x) for n, x in accuracies.items()}
        return {
            **sums,
            **_code_counts(levels.codes, self.config.num_embeddings, weight),
            "examples": tf.reduce_sum(weight),
            "images": tf.einsum("b,bhwc->hwc", weight, images),
            "squares": tf.einsum("b,bhwc->c", weight, tf.square(images)),
        }

    def validation_metrics(self, sums: Totals) -> Metrics:
        height, width, _ = self.config.image_shape
        pixels = sums["examples"] * height * width
        metrics = {}
        for name in RECONSTRUCTIONS:
            per_channel = sums[f"{name}_error"] / pixels
            metrics[f"{name}_mse"] = float(np.mean(per_channel))
            for channel, error in zip(self.info.channels, per_channel, strict=True):
                metrics[f"{name}_mse/{channel}"] = float(error)
        mean_image = sums["images"] / sums["examples"]
        mean_square = np.mean(sums["squares"] / pixels)
        metrics["mean_image_mse"] = float(mean_square - np.mean(mean_image**2))
        for name in adversary.ACCURACIES:
            if name in sums:
                metrics[name] = float(sums[name] / sums["examples"])
        metrics["psnr"] = -10 * float(np.log10(metrics["reconstruction_mse"]))
        return {"loss": metrics["reconstruction_mse"], **metrics, **_code_use(sums)}

    def training_metrics(self, sums: Totals, steps: int, epoch: Totals) -> Metrics:
        return {**super().training_metrics(sums, steps, epoch), **_code_use(epoch)}

    def images(self) -> dict[str, np.ndarray]:
        """Returns a sheet of originals and reconstructions from both and each level."""
        examples = input_pipeline.evaluation_examples(
            self.validation_split, batch_size=NUM_SHOWN
        )
        originals = schema.to_unit(next(iter(examples))["image"])
        levels = self.model.reconstruct_levels(originals)
        columns = {
            "original": originals.numpy(),
            "reconstruction": levels.full.numpy(),
            "top only": levels.top_only.numpy(),
            "bottom only": levels.bottom_only.numpy(),
        }
        sheet = sheet_of_columns(columns, self.info.display_channels)
        return {"reconstructions": sheet}

    def warnings(self, metrics: Mapping[str, float]) -> list[str]:
        """Returns warnings about levels and critic, once they had time to learn."""
        early = max(self.config.warmup_steps, 2 * self.config.quantize_after)
        if int(self.model.bottom_quantizer.steps.numpy()) <= early:
            return []
        warnings = level_warnings(metrics)
        if self.adversary and self.adversary.is_active:
            accuracy = min(metrics[name] for name in adversary.ACCURACIES)
            if accuracy > WON_ACCURACY:
                warnings.append(
                    f"the critic has won: it recognizes {accuracy:.1%} of validation "
                    "patches and reconstructions, so that its gradient is of little "
                    "use. Lower vqvae.critic_learning_rate or raise "
                    "vqvae.adversarial_weight"
                )
        return warnings


def usage(counts: np.ndarray) -> float:
    """Returns the share of codes that were used at all, of their counts [K]."""
    return float(np.mean(np.asarray(counts) > 0))


def codebook_perplexity(counts: np.ndarray) -> float:
    """Returns exp of the entropy of code use, of counts [K]: between 1 and K."""
    return float(vector_quantizer.codebook_perplexity(np.asarray(counts, np.float64)))


def level_warnings(metrics: Mapping[str, float]) -> list[str]:
    """Returns warnings, with a remedy, about the codebooks of a validation."""
    warnings = []
    error = metrics["reconstruction_mse"]
    remedy = (
        "a prior cannot learn anything from such a top level. Start again with "
        "--set vqvae.bottom_dropout=0.25, which makes the decoder need the top codes"
    )
    if metrics["top_codebook_perplexity"] < TRIVIAL_PERPLEXITY:
        warnings.append(
            "the top level is trivial: its codes are nearly constant (perplexity "
            f"{metrics['top_codebook_perplexity']:.2f}); {remedy}"
        )
    elif metrics["bottom_only_mse"] < UNUSED_ERROR_RATIO * error:
        warnings.append(
            "the top level is not used: reconstructions without it are as good "
            f"(squared error {metrics['bottom_only_mse']:.2e} against {error:.2e}); "
            f"{remedy}"
        )
    if metrics["top_only_mse"] < UNUSED_ERROR_RATIO * error:
        warnings.append(
            "the bottom level is not used: reconstructions from the top alone are as "
            f"good (squared error {metrics['top_only_mse']:.2e} against {error:.2e}). "
            "Lower vqvae.bottom_dropout"
        )
    for level in LEVELS:
        used = metrics[f"{level}_usage"]
        if used < COLLAPSED_USAGE:
            warnings.append(
                f"the {level} codebook has collapsed: {used:.1%} of its codes are in "
                "use. Set vqvae.dead_code_threshold above 0, or choose a smaller "
                "vqvae.num_embeddings"
            )
    return warnings


def _code_counts(codes, num_embeddings, weight=None) -> Sums:
    """Counts the uses of each code of each level, float32 [K], rows by their weight."""
    counts = {}
    for level, level_codes in zip(LEVELS, codes, strict=True):
        weights = tf.ones(tf.shape(level_codes))
        if weight is not None:
            weights *= weight[:, None, None]
        counts[f"{level}_counts"] = tf.math.unsorted_segment_sum(
            weights, level_codes, num_embeddings
        )
    return counts


def _code_use(sums: Totals) -> Metrics:
    metrics = {}
    for level in LEVELS:
        counts = sums[f"{level}_counts"]
        if counts.any():
            metrics[f"{level}_usage"] = usage(counts)
            metrics[f"{level}_codebook_perplexity"] = codebook_perplexity(counts)
    return metrics
