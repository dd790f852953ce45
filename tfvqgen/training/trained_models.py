"""Loads the trained models of a workdir."""

import hashlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json
from tfvqgen.models import VQVAE2, PixelSNAIL
from tfvqgen.training.checkpoints import restore_averages, restore_model
from tfvqgen.training.workdir import Workdir


def load_autoencoder(workdir: Workdir) -> tuple[VQVAE2, int]:
    """Returns the autoencoder with its newest weights, and their step.

    Raises:
        UserError: It is not trained, or does not fit the configuration.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    autoencoder = VQVAE2(config.vqvae, seed=config.seed)
    autoencoder.build()
    return autoencoder, restore_model(autoencoder, workdir.checkpoints("vqvae"))


def load_prior(
    workdir: Workdir, level: str, autoencoder_fingerprint: str
) -> tuple[PixelSNAIL, int]:
    """Returns a prior with the best averages of its weights, and the step.

    The best averages have the lowest validation loss so far. Before the first
    validation the newest averages are loaded.

    Args:
        workdir: Workdir in which it was trained.
        level: ``top`` or ``bottom``.
        autoencoder_fingerprint: Fingerprint of the autoencoder that will decode its
            samples.

    Raises:
        UserError: It is not trained, does not fit the configuration, or was trained on
            the codes of another autoencoder.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    trained_on = read_origin(workdir, level).get("autoencoder_fingerprint")
    if trained_on != autoencoder_fingerprint:
        raise UserError(
            f"the {level} prior was trained on the codes of another autoencoder: "
            f"expected {autoencoder_fingerprint[:12]}; remove {workdir.stage(level)} "
            f"and run train.py to train it again. Received: {str(trained_on)[:12]}"
        )
    prior = PixelSNAIL(getattr(config, level), seed=config.seed)
    prior.build()
    return prior, restore_averages(prior, workdir.checkpoints(level))


def origin_file(workdir: Workdir, level: str) -> Path:
    """Returns the path of the file that :func:`read_origin` reads."""
    return workdir.stage(level) / "trained_on.json"


def read_origin(workdir: Workdir, level: str) -> dict[str, Any]:
    """Reads the fingerprint of the codes a prior was trained on."""
    if not workdir.has_checkpoint(level):
        raise UserError(
            f"the {level} prior is not trained: expected a checkpoint in "
            f"{workdir.checkpoints(level)}, from train.py --stage={level}. "
            "Received: no checkpoint"
        )
    path = origin_file(workdir, level)
    origin = read_json(path)
    if not isinstance(origin, dict):
        raise DataError(f"damaged file: expected a JSON object. Received: {path}")
    return origin


def fingerprint(model: keras.Model) -> str:
    """Returns the hex sha256 of all weights of a model, in their order."""
    digest = hashlib.sha256()
    for variable in model.variables:
        value = np.ascontiguousarray(variable.numpy())
        digest.update(f"{value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
