"""The trained models of a workdir, with the weights that they are used with."""

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
        UserError: It is not trained, or not as the configuration says.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    autoencoder = VQVAE2(config.vqvae, seed=config.seed)
    autoencoder.build()
    step = restore_model(autoencoder, workdir.checkpoints("vqvae"))
    return autoencoder, step


def load_prior(
    workdir: Workdir, level: str, autoencoder_fingerprint: str
) -> tuple[PixelSNAIL, int]:
    """Returns a prior with the best averages of its weights, and its step.

    They are those with the lowest held-out loss so far; before the first validation,
    the averages as they are.

    Args:
        workdir: Where it was trained.
        level: ``top`` or ``bottom``.
        autoencoder_fingerprint: Of the autoencoder whose codes it is to draw.

    Raises:
        UserError: It is not trained, or not as the configuration says, or on the codes
            of other weights.
        DataError: Its checkpoints are damaged.
    """
    config = workdir.load_config()
    learnt_from = read_origin(workdir, level).get("autoencoder_fingerprint")
    if learnt_from != autoencoder_fingerprint:
        raise UserError(
            f"the prior of the {level} codes has learnt from another autoencoder's: "
            f"expected {autoencoder_fingerprint[:12]}; remove {workdir.stage(level)} "
            f"and run train.py to train it anew. Received: {str(learnt_from)[:12]}"
        )
    prior = PixelSNAIL(getattr(config, level), seed=config.seed)
    prior.build()
    step = restore_averages(prior, workdir.checkpoints(level))
    return prior, step


def origin_file(workdir: Workdir, level: str) -> Path:
    """Returns the file that says which codes a prior has learnt from."""
    return workdir.stage(level) / "trained_on.json"


def read_origin(workdir: Workdir, level: str) -> dict[str, Any]:
    """Reads which codes a prior has learnt from.

    Raises:
        UserError: It is not trained.
        DataError: The file is damaged.
    """
    if not workdir.has_checkpoint(level):
        raise UserError(
            f"the prior of the {level} codes is not trained: expected what train.py "
            f"--stage={level} leaves. Received: {workdir.checkpoints(level)} without "
            "a checkpoint"
        )
    origin = read_json(origin_file(workdir, level))
    if not isinstance(origin, dict):
        raise DataError(
            "damaged file: expected what train.py writes. "
            f"Received: {origin_file(workdir, level)}"
        )
    return origin


def fingerprint(model: keras.Model) -> str:
    """Returns the hex sha256 of every weight of a model, in the model's order."""
    digest = hashlib.sha256()
    for variable in model.variables:
        value = np.ascontiguousarray(variable.numpy())
        digest.update(f"{value.dtype} {value.shape}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
