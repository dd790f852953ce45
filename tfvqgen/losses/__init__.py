"""What is minimised: errors of reconstructions, and the likelihood of codes."""

from tfvqgen.losses.adversarial import hinge_loss, realism_loss
from tfvqgen.losses.likelihood import (
    entropy_map,
    map_distribution,
    nats_map,
    nats_per_code,
    to_bits,
)
from tfvqgen.losses.reconstruction import (
    focal_frequency_loss,
    laplacian_loss,
    mean_squared_error,
    strength_loss,
)

__all__ = [
    "entropy_map",
    "focal_frequency_loss",
    "hinge_loss",
    "laplacian_loss",
    "map_distribution",
    "mean_squared_error",
    "nats_map",
    "nats_per_code",
    "realism_loss",
    "strength_loss",
    "to_bits",
]
