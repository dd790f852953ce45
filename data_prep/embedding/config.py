"""How the pairing network is made and trained."""

import dataclasses
from collections.abc import Iterable
from typing import Self

from tfvqgen.config import StageConfig
from tfvqgen.config_keys import find_field, key, parse
from tfvqgen.errors import UserError
from tfvqgen.models.paired_inpainting import STRIDE

SECTION = "inpainting"


@dataclasses.dataclass(frozen=True, kw_only=True)
class InpaintingConfig(StageConfig):
    """The network of paired cell inpainting; sizes and rates for a CPU.

    Lu et al. have width 1, and Adam with a constant learning rate of 1e-4 and a beta_1
    of .5.
    """

    steps: int = key(2000, "training steps", low=1, free=True)
    batch_size: int = key(32, "pairs a step, over all replicas", low=1, high=1_000_000)
    learning_rate: float = key(1e-3, "Adam's learning rate at its peak", low=0.0)
    beta_1: float = key(0.5, "decay of Adam's mean of the gradient", low=0.0, below=1.0)
    validate_every: int = key(500, "steps between validations", low=1, free=True)
    width: float = key(0.25, "multiplies the filters of all layers", low=0.01, high=8.0)
    size: int = key(64, "side that crops are reduced to, in pixels", low=4, high=1024)
    augment: bool = key(True, "show each cell in a random symmetry of the square")
    min_group: int = key(6, "fewest cells of a group that makes pairs", low=2)
    validation_share: float = key(
        0.1, "share of the groups that is held out", low=0.0, below=1.0
    )

    def __post_init__(self):
        super().__post_init__()
        if self.size % STRIDE:
            raise UserError(
                f"size does not fit the strides: expected a multiple of {STRIDE}. "
                f"Received: size={self.size}"
            )

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """Returns a copy with ``key=value`` strings applied; the last counts.

        Raises:
            UserError: A key does not exist, or a value is not of its type or limits.
        """
        changes = {}
        for override in overrides:
            name, equals, text = override.partition("=")
            if not equals:
                raise UserError(
                    "cannot read an override: expected key=value. "
                    f"Received: {override!r}"
                )
            field = find_field(self, SECTION, name.strip())
            changes[field.name] = parse(field, text.strip())
        return dataclasses.replace(self, **changes)
