"""The trained models of a workdir, with the weights that they are used with."""

import hashlib

import keras
import numpy as np

from tfvqgen.models import VQVAE2, PixelSNAIL
from tfvqgen.training.checkpoints import restore_averages, restore_model
from tfvqgen.training.workdir import Workdir


def load_autoencoder(workdir: Workdir) -> tuple[VQVAE2, int]:
    """Returns the autoencoder with its newest weights, and their step.

    Raises:
        UserError: It is not trained, or not as the configuration says.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    autoencoder = VQVAE2(config.vqvae, seed=config.seed)
    autoencoder.build()
    step = restore_model(autoencoder, workdir.checkpoints("vqvae"))
    return autoencoder, step


def load_prior(workdir: Workdir, level: str) -> tuple[PixelSNAIL, int]:
    """Returns a prior with the best averages of its weights, and its step.

    They are those with the lowest held-out loss so far; before the first validation,
    the averages as they are.

    Args:
        workdir: Where it was trained.
        level: ``top`` or ``bottom``.

    Raises:
        UserError: It is not trained, or not as the configuration says.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    prior = PixelSNAIL(getattr(config, level), seed=config.seed)
    prior.build()
    step = restore_averages(prior, workdir.checkpoints(level))
    return prior, step


def fingerprint(model: keras.Model) -> str:
    """Returns the hex sha256 of every weight of a model, in the model's order."""
    digest = hashlib.sha256()
    for variable in model.variables:
        value = np.ascontiguousarray(variable.numpy())
        digest.update(f"{value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
