"""The networks."""

from tfvqgen.models.pixelsnail import PixelSNAIL
from tfvqgen.models.vqvae2 import VQVAE2, Codes, Reconstructions, VQVAE2Output

__all__ = ["VQVAE2", "Codes", "PixelSNAIL", "Reconstructions", "VQVAE2Output"]
