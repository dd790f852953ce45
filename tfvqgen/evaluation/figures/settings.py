"""What is asked of the figures."""

import dataclasses
import os
from pathlib import Path

from tfvqgen.evaluation.settings import require_seed
from tfvqgen.generation.request import SamplingParameters, require_number_of_cells


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked for.

    Attributes:
        workdir: Of trained models.
        data_dir: The shards that they were trained on.
        output: Where the figures go; ``figures`` in the workdir if None.
        split: Whose crops are shown.
        num_per_label: Cells drawn of each label; the first 8 are shown.
        seed: Of the first cell, and of the choice of crops.
        drawing: How cells are drawn.

    Raises:
        UserError: A number is out of range.
    """

    workdir: str | os.PathLike
    data_dir: str | os.PathLike
    output: str | os.PathLike | None = None
    split: str = "test"
    num_per_label: int = 16
    seed: int = 0
    drawing: SamplingParameters = dataclasses.field(default_factory=SamplingParameters)

    def __post_init__(self):
        require_number_of_cells("num_per_label", self.num_per_label)
        require_seed(self.seed)

    @property
    def folder(self) -> Path:
        """Where the figures go."""
        return Path(self.output or Path(self.workdir) / "figures")
