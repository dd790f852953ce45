"""The networks: autoencoder, priors, classifier, inpainting and patch critic."""

from tfvqgen.models.localization_classifier import LocalizationClassifier
from tfvqgen.models.paired_inpainting import PairedInpainting
from tfvqgen.models.pixelsnail import PixelSNAIL
from tfvqgen.models.vqvae2 import LEVELS, VQVAE2, Codes, Reconstructions, VQVAE2Output

__all__ = [
    "LEVELS",
    "VQVAE2",
    "Codes",
    "LocalizationClassifier",
    "PairedInpainting",
    "PixelSNAIL",
    "Reconstructions",
    "VQVAE2Output",
]
