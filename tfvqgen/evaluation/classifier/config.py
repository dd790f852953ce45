"""How localization classifiers are made and trained."""

import dataclasses

from tfvqgen.config import ShardStageConfig
from tfvqgen.config_keys import key


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ShardStageConfig):
    """A localization classifier; sizes and rates for a few minutes of a CPU."""

    steps: int = key(1500, "training steps", low=1, free=True)
    batch_size: int = key(
        32, "examples a step, over all replicas", low=1, high=1_000_000
    )
    learning_rate: float = key(3e-3, "Adam's learning rate at its peak", low=0.0)
    final_learning_rate: float = key(
        0.01, "share of the peak that the decay ends at", low=0.0, high=1.0
    )
    validate_every: int = key(1500, "steps between validations", low=1, free=True)
    label_balance: float = key(
        1.0,
        "0: examples as they come; 1: every label equally often",
        low=0.0,
        high=1.0,
    )
    width: int = key(16, "filters of the first convolutions", low=1)
    dropout: float = key(
        0.3, "share of features dropped before the last layer", low=0.0, below=1.0
    )
