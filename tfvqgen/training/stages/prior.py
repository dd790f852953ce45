"""The stages ``top`` and ``bottom``: the priors over the codes."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.losses import nats_per_code, to_bits
from tfvqgen.models import VQVAE2, Codes, PixelSNAIL
from tfvqgen.sampling import ancestral_sample
from tfvqgen.training.optimization import WeightAverages
from tfvqgen.training.stages.base import Batch, ShardStage, Sums

# Shapes: B crops of one replica; h x w top codes, 2h x 2w bottom codes; K codes.


PICTURED_LABELS = 6
PICTURED_PER_LABEL = 6


class PriorStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.PixelSNAIL` on one level's codes.

    Args:
        level: ``top`` or ``bottom``; the bottom is conditioned on the top.
        config: The configuration, settled.
        training_split: Codes to train on.
        validation_split: Codes to be judged on.
        autoencoder: Turns sampled codes into pictures.
        display: The channels shown red, green and blue.

    Attributes:
        model_class: What the prior is made as.
    """

    speed_metric = "codes_per_second"
    model_class: ClassVar[type[PixelSNAIL]] = PixelSNAIL

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
        self.model = self.model_class(self.config, seed=config.seed)
        self._make_weights()
        self.averages = WeightAverages(self.model, self.config.polyak)
        self.accumulation = self.config.accumulation
        self.patience = self.config.patience
        self.items_per_example = int(np.prod(self.config.code_shape))
        self.sum_shapes = {"loss": ()}
        self._autoencoder = autoencoder
        self._display = display
        self._seed = config.seed
        shares = code_shares(training_split, level, self.config.num_embeddings)
        self._log_shares = np.log(shares)
        self._training_unigram = -float(np.sum(shares * self._log_shares))

    def _make_weights(self) -> None:
        shapes = {"top": self.config.code_shape, "bottom": self.config.code_shape}
        if self.config.conditioned:
            shapes["top"] = self.config.condition_shape
        empty = {name: tf.zeros([1, *s], tf.int32) for name, s in shapes.items()}
        self._nats(
            {**empty, "labels": tf.zeros([1, self.config.num_labels])}, training=False
        )

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """See :meth:`Stage.loss`; nats per code."""
        loss = tf.reduce_mean(self._nats(batch, training=True))
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        """See :meth:`Stage.validation_sums`."""
        weight = batch["weight"]
        codes = tf.one_hot(batch[self.name], self.config.num_embeddings)
        return {
            "nats": tf.reduce_sum(weight * self._nats(batch, training=False)),
            "counts": tf.einsum("b,bhwk->k", weight, codes),
            "examples": tf.reduce_sum(weight),
        }

    def validation_metrics(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """See :meth:`Stage.validation_metrics`."""
        shares = sums["counts"] / np.sum(sums["counts"])
        unigram = -float(np.sum(shares * self._log_shares))
        return _likelihood_figures(float(sums["nats"] / sums["examples"]), unigram)

    def training_metrics(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """See :meth:`Stage.training_metrics`; dropout and hidden labels are in it."""
        del epoch
        figures = _likelihood_figures(
            float(sums["loss"]) / steps, self._training_unigram
        )
        return {**figures, "gradient_norm": float(sums["gradient_norm"]) / steps}

    def pictures(self) -> dict[str, np.ndarray]:
        """Returns a sheet of samples, a column a label (the first few, and none).

        The bottom's are drawn below the top codes of held-out crops, which are shown
        first; the top's are shown through the decoder without a bottom level.
        """
        names = [*self.training_split.info.labels[:PICTURED_LABELS], "any"]
        labels = np.eye(len(names), self.config.num_labels, dtype=np.float32)
        labels[-1] = 0
        seeds = np.arange(PICTURED_PER_LABEL) + self._seed
        columns = {}
        tops = None
        if self.model.config.conditioned:
            batch = next(self.validation_split.batches(PICTURED_PER_LABEL))
            tops = batch["top"]
            seeds = seeds[: len(tops)]
            columns["held out"] = self._autoencoder.decode(
                Codes(tops, batch["bottom"])
            ).numpy()
        for name, row in zip(names, labels, strict=True):
            codes = ancestral_sample(
                self.model,
                tf.constant(seeds, tf.int64),
                labels=tf.constant(np.tile(row, (len(seeds), 1))),
                condition=tops,
            )
            columns[name] = self._decode(tops, codes).numpy()
        return {"samples": sheet_of_columns(columns, self._display)}

    def _decode(self, tops, codes):
        if tops is None:
            return self._autoencoder.decode_top(codes)
        return self._autoencoder.decode(Codes(tops, codes))

    def _nats(self, batch: Batch, training: bool) -> tf.Tensor:
        """Returns what the codes of each map cost on average, nats, [B]."""
        logits = self.model.logits(
            batch[self.name],
            labels=batch["labels"],
            condition=batch["top"] if self.name == "bottom" else None,
            training=training,
        )
        return nats_per_code(logits, batch[self.name])


def code_shares(split: CodeSplit, level: str, num_embeddings: int) -> np.ndarray:
    """Returns the share of each code in a split, [K], counting each once more.

    Args:
        split: Where the codes are.
        level: ``top`` or ``bottom``.
        num_embeddings: K.
    """
    counts = np.ones(num_embeddings)
    for batch in split.batches():
        counts += np.bincount(batch[level].ravel(), minlength=num_embeddings)
    return counts / counts.sum()


def _likelihood_figures(nats: float, unigram_nats: float) -> dict[str, float]:
    return {
        "loss": nats,
        "nats_per_code": nats,
        "bits_per_code": to_bits(nats),
        "unigram_bits_per_code": to_bits(unigram_nats),
    }
