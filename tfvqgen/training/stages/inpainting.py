"""The stage ``inpainting``: paired cell inpainting (Lu et al. 2019).

The stage takes the pairs from outside, so that this package knows nothing of how they
are read; ``data_prep.embedding.pairing.Pairs`` draws them from a folder of crops.
"""

# Shapes: B pairs of one replica, S x S pixels, M marker channels.

import dataclasses
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfvqgen.config import StageConfig
from tfvqgen.data.schema import to_unit
from tfvqgen.data.sheets import sheet_of_columns
from tfvqgen.errors import UserError
from tfvqgen.models.paired_inpainting import STRIDE, PairedInpainting
from tfvqgen.training.stages.base import Batch, Batches, Metrics, Stage, Sums, Totals
from tfvqgen.validation import key, parse_override

SECTION = "inpainting"
# Pairs shown on the sheet of images.
NUM_SHOWN = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class InpaintingConfig(StageConfig):
    """Network and training of paired cell inpainting; the defaults suit a CPU.

    Lu et al. use width 1, and Adam with a constant learning rate of 1e-4 and a beta_1
    of 0.5.
    """

    steps: int = key(2000, "number of training steps", low=1, free=True)
    batch_size: int = key(
        32, "pairs in a step, over all replicas", low=1, high=1_000_000
    )
    beta_1: float = key(0.5, "decay of Adam's first moment", low=0.0, below=1.0)
    validate_every: int = key(500, "steps between validations", low=1, free=True)
    width: float = key(0.25, "factor for the filters of all layers", low=0.01, high=8.0)
    size: int = key(64, "side to which crops are reduced, in pixels", low=4, high=1024)
    augment: bool = key(
        True, "whether to apply a random symmetry of the square to each cell"
    )
    min_group: int = key(6, "smallest number of cells in a group", low=2)
    validation_share: float = key(
        0.1, "share of the groups used for validation", low=0.0, below=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if self.size % STRIDE:
            raise UserError(
                f"size does not fit the strides: expected a multiple of {STRIDE}. "
                f"Received: size={self.size}"
            )

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """Returns a copy with ``key=value`` strings applied; the last counts."""
        changes = {}
        for override in overrides:
            name, equals, text = override.partition("=")
            if not equals:
                raise UserError(
                    "cannot read an override: expected key=value. "
                    f"Received: {override!r}"
                )
            name = name.strip()
            changes[name] = parse_override(self, name, text.strip(), f"{SECTION}.")
        return dataclasses.replace(self, **changes)


class InpaintingStage(Stage):
    """Trains a :class:`~tfvqgen.models.PairedInpainting`.

    The first channel of the images is the protein, the others are the markers.
    `training` and `validation` are the pairs, ``data_prep.embedding.pairing.Pairs``.
    """

    name = SECTION
    speed_metric = "pairs_per_second"

    def __init__(self, config: InpaintingConfig, training: Any, validation: Any):
        self.config = config
        self.training_pairs = training
        self.validation_pairs = validation
        self.num_training_examples = training.num_examples
        self.model = PairedInpainting(
            num_markers=len(training.images.channels) - 1,
            width=config.width,
            precision=config.precision,
        )
        self.model.build()

    def training_data(self, *, seed: int, start_step: int, **share: int) -> Batches:
        return self.training_pairs.training_pairs(
            seed=seed,
            batch_size=self.config.batch_size,
            start_step=start_step,
            cache=self.config.cache,
            **share,
        )

    def validation_data(self, **share: int) -> Batches:
        return self.validation_pairs.held_out_pairs(
            batch_size=self.config.batch_size, **share
        )

    def explain(self, error: Exception) -> Exception:
        return self.training_pairs.images.explain(error)

    def example_names(self, batch: Batch) -> list[str]:
        rows = self.training_pairs.images.folder.rows
        pairs = zip(batch["target_row"], batch["source_row"], strict=True)
        return [f"{rows[int(y)].crop_id} from {rows[int(x)].crop_id}" for y, x in pairs]

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns the squared error of the target's protein."""
        target = to_unit(batch["target"])
        source, markers = to_unit(batch["source"]), target[..., 1:]
        predicted = self.model(source, markers, training=True)
        loss = tf.reduce_mean(tf.math.squared_difference(target[..., :1], predicted))
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        target, weight = to_unit(batch["target"]), batch["weight"]
        protein = target[..., :1]
        predicted = self.model(to_unit(batch["source"]), target[..., 1:])
        errors = tf.math.squared_difference(protein, predicted)
        return {
            "error": tf.einsum("b,bhwc->", weight, errors),
            "examples": tf.reduce_sum(weight),
            "images": tf.einsum("b,bhwc->hw", weight, protein),
            "squares": tf.einsum("b,bhwc->", weight, tf.square(protein)),
        }

    def validation_metrics(self, sums: Totals) -> Metrics:
        """Returns the error, beside that of predicting the mean protein image."""
        pixels = sums["examples"] * self.config.size**2
        mean_image = sums["images"] / sums["examples"]
        spread = sums["squares"] / pixels - np.mean(mean_image**2)
        error = float(sums["error"] / pixels)
        return {"loss": error, "protein_mse": error, "mean_image_mse": float(spread)}

    def images(self) -> dict[str, np.ndarray]:
        """Returns a sheet: the target, the target as predicted, and the source."""
        batch = self.validation_pairs.spread_pairs(NUM_SHOWN)
        source, target = to_unit(batch["source"]), to_unit(batch["target"])
        markers = target[..., 1:]
        predicted = tf.concat([self.model(source, markers), markers], axis=-1)
        columns = {
            "target": target.numpy(),
            "target, predicted": predicted.numpy(),
            "source": source.numpy(),
        }
        # The protein is green, the first two markers are blue and red.
        display = (2 if target.shape[-1] > 2 else None, 0, 1)
        return {"pairs": sheet_of_columns(columns, display)}
