"""The stage ``inpainting``: the pairing network on the pairs of a crops folder."""

# Shapes: B pairs of one replica, S x S pixels, M marker channels.

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from data_prep.embedding.config import SECTION, InpaintingConfig
from data_prep.embedding.pairing import Pairs
from tfvqgen.data.schema import to_unit
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.models import PairedInpainting
from tfvqgen.training.stages.base import Batch, Stage, Sums

PICTURED = 8


class InpaintingStage(Stage):
    """Trains a :class:`~tfvqgen.models.PairedInpainting`.

    The first channel of the pairs' images is the protein, the others are the markers.

    Args:
        config: The configuration.
        training: Pairs to train on.
        validation: Pairs of other groups.
    """

    name = SECTION
    speed_metric = "pairs_per_second"

    def __init__(self, config: InpaintingConfig, training: Pairs, validation: Pairs):
        self.config = config
        self.training_pairs = training
        self.validation_pairs = validation
        self.model = PairedInpainting(
            num_markers=len(training.images.channels) - 1,
            width=config.width,
            precision=config.precision,
        )
        self.model.build()
        self.sum_shapes = {"loss": ()}

    @property
    def num_training_examples(self) -> int:
        """See :meth:`Stage.num_training_examples`."""
        return self.training_pairs.num_examples

    def training_data(
        self, *, seed: int, start_step: int, **share: int
    ) -> tf.data.Dataset:
        """See :meth:`Pairs.training_pairs`."""
        return self.training_pairs.training_pairs(
            seed=seed,
            batch_size=self.config.batch_size,
            start_step=start_step,
            cache=self.config.cache,
            **share,
        )

    def validation_data(self, **share: int) -> tf.data.Dataset:
        """See :meth:`Pairs.held_out_pairs`."""
        return self.validation_pairs.held_out_pairs(
            batch_size=self.config.batch_size, **share
        )

    def explain(self, error: Exception) -> Exception:
        """See :meth:`Stage.explain`."""
        return self.training_pairs.images.explain(error)

    def example_names(self, batch: Batch) -> list[str]:
        """Returns the targets' and sources' ids."""
        rows = self.training_pairs.images.folder.rows
        pairs = zip(batch["target_row"], batch["source_row"], strict=True)
        return [f"{rows[int(y)].crop_id} from {rows[int(x)].crop_id}" for y, x in pairs]

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """See :meth:`Stage.loss`."""
        target = to_unit(batch["target"])
        predicted = self.predict(to_unit(batch["source"]), target, training=True)
        loss = tf.reduce_mean(tf.math.squared_difference(target[..., :1], predicted))
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        """See :meth:`Stage.validation_sums`."""
        target, weight = to_unit(batch["target"]), batch["weight"]
        protein = target[..., :1]
        predicted = self.predict(to_unit(batch["source"]), target)
        errors = tf.math.squared_difference(protein, predicted)
        return {
            "error": tf.einsum("b,bhwc->", weight, errors),
            "examples": tf.reduce_sum(weight),
            "images": tf.einsum("b,bhwc->hw", weight, protein),
            "squares": tf.einsum("b,bhwc->", weight, tf.square(protein)),
        }

    def validation_metrics(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """See :meth:`Stage.validation_metrics`."""
        pixels = sums["examples"] * self.config.size**2
        mean_image = sums["images"] / sums["examples"]
        spread = sums["squares"] / pixels - np.mean(mean_image**2)
        error = float(sums["error"] / pixels)
        return {"loss": error, "protein_mse": error, "mean_image_mse": float(spread)}

    def training_metrics(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """See :meth:`Stage.training_metrics`."""
        del epoch
        return {name: float(value) / steps for name, value in sums.items()}

    def predict(self, source, target, training: bool = False) -> tf.Tensor:
        """Paints the targets' protein, of which it sees the markers alone.

        Args:
            source: Float32 [B, S, S, 1 + M] in [0, 1].
            target: Likewise.
            training: Whether batches are normalized by their own statistics.

        Returns:
            Float32 [B, S, S, 1].
        """
        return self.model(source, target[..., 1:], training=training)

    def pictures(self) -> dict[str, np.ndarray]:
        """Returns a sheet: the cell x, the cell y as it is, and as it was painted."""
        batch = self.validation_pairs.spread_pairs(PICTURED)
        source, target = to_unit(batch["source"]), to_unit(batch["target"])
        painted = tf.concat([self.predict(source, target), target[..., 1:]], axis=-1)
        columns = {
            "y": target.numpy(),
            "y, painted": painted.numpy(),
            "x": source.numpy(),
        }
        # The protein green, the first two markers blue and red.
        display = (2 if target.shape[-1] > 2 else None, 0, 1)
        return {"pairs": sheet_of_columns(columns, display)}
