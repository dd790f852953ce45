"""The stages ``top`` and ``bottom``: training of the priors over the codes."""

# Shapes: B crops of one replica; h x w top codes, 2h x 2w bottom codes; K codes.

import numpy as np
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.losses import nats_per_code, to_bits
from tfvqgen.models import VQVAE2, Codes, PixelSNAIL
from tfvqgen.sampling import ancestral_sample
from tfvqgen.training.optimization import WeightAverages
from tfvqgen.training.stages.base import Batch, Metrics, ShardStage, Sums, Totals

# The sheet of samples shows so many labels, and so many samples of each.
LABELS_SHOWN = 6
SAMPLES_SHOWN = 6


class PriorStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.PixelSNAIL` on the codes of one level.

    Args:
        level: ``top``, or ``bottom``, which is conditioned on the top codes.
        config: The whole configuration, settled.
        autoencoder: Decodes sampled codes, to show them.
        display: The channels that are shown red, green and blue.
    """

    speed_metric = "codes_per_second"

    def __init__(
        self,
        level: str,
        config: Config,
        training_split: CodeSplit,
        validation_split: CodeSplit,
        autoencoder: VQVAE2,
        display: tuple[int | None, ...],
    ):
        self.name = level
        self.config = getattr(config, level)
        self.training_split = training_split
        self.validation_split = validation_split
        self.model = PixelSNAIL(self.config, seed=config.seed)
        self.model.build()
        self.averages = WeightAverages(self.model, self.config.polyak)
        self.accumulation = self.config.accumulation
        self.patience = self.config.patience
        self.items_per_example = int(np.prod(self.config.code_shape))
        self._autoencoder = autoencoder
        self._display = display
        self._seed = config.seed
        shares = code_shares(training_split, level, self.config.num_embeddings)
        self._log_shares = np.log(shares)
        self._training_unigram = -float(np.sum(shares * self._log_shares))

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns the cross entropy in nats per code."""
        loss = tf.reduce_mean(self._nats(batch, training=True))
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        weight = batch["weight"]
        codes = tf.one_hot(batch[self.name], self.config.num_embeddings)
        return {
            "nats": tf.reduce_sum(weight * self._nats(batch, training=False)),
            "counts": tf.einsum("b,bhwk->k", weight, codes),
            "examples": tf.reduce_sum(weight),
        }

    def validation_metrics(self, sums: Totals) -> Metrics:
        """Returns the cross entropy beside that of the training split's unigrams."""
        shares = sums["counts"] / np.sum(sums["counts"])
        unigram = -float(np.sum(shares * self._log_shares))
        return _likelihoods(float(sums["nats"] / sums["examples"]), unigram)

    def training_metrics(self, sums: Totals, steps: int, epoch: Totals) -> Metrics:
        """Returns the cross entropy with dropout and with some labels hidden."""
        means = super().training_metrics(sums, steps, epoch)
        return {**means, **_likelihoods(means["loss"], self._training_unigram)}

    def images(self) -> dict[str, np.ndarray]:
        """Returns a sheet of samples, one column a label (the first few, and none).

        The bottom codes are sampled for the top codes of validation crops, which are
        shown in the first column; top codes are decoded without a bottom level.
        """
        names = [*self.training_split.info.labels[:LABELS_SHOWN], "any"]
        labels = np.eye(len(names), self.config.num_labels, dtype=np.float32)
        labels[-1] = 0
        seeds = np.arange(SAMPLES_SHOWN) + self._seed
        columns, tops = {}, None
        if self.config.conditioned:
            batch = next(self.validation_split.batches(SAMPLES_SHOWN))
            tops = batch["top"]
            seeds = seeds[: len(tops)]
            columns["held out"] = self._decode(tops, batch["bottom"])
        for name, row in zip(names, labels, strict=True):
            codes = ancestral_sample(
                self.model,
                tf.constant(seeds, tf.int64),
                labels=tf.constant(np.tile(row, (len(seeds), 1))),
                condition=tops,
            )
            columns[name] = self._decode(tops, codes)
        return {"samples": sheet_of_columns(columns, self._display)}

    def _decode(self, tops, codes) -> np.ndarray:
        if tops is None:
            return self._autoencoder.decode_top(codes).numpy()
        return self._autoencoder.decode(Codes(tops, codes)).numpy()

    def _nats(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns the mean cost of the codes of each map in nats, float32 [B]."""
        logits = self.model.logits(
            batch[self.name],
            labels=batch["labels"],
            condition=batch["top"] if self.name == "bottom" else None,
            training=training,
        )
        return nats_per_code(logits, batch[self.name])


def code_shares(split: CodeSplit, level: str, num_embeddings: int) -> np.ndarray:
    """Returns the relative frequency of each code in a split, float64 [K].

    One is added to each count, so that no frequency is 0.
    """
    counts = np.ones(num_embeddings)
    for batch in split.batches():
        counts += np.bincount(batch[level].ravel(), minlength=num_embeddings)
    return counts / counts.sum()


def _likelihoods(nats: float, unigram_nats: float) -> Metrics:
    return {
        "loss": nats,
        "nats_per_code": nats,
        "bits_per_code": to_bits(nats),
        "unigram_bits_per_code": to_bits(unigram_nats),
    }
