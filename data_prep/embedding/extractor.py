"""The pairing network's features as a SavedModel, for programs without this project.

Shapes: B images, H x W pixels, C channels, F features.

``inpainting/extractor/`` is what ``tf.saved_model.load`` reads. Its one signature,
``serving_default``, takes ``images`` [B, H, W, C] as the crops are stored, with all of
their channels in their order and of any square size from that which the network sees
on, and gives ``features`` float32 [B, F]: the numbers of ``features.npy``.
``assets/about.json`` names network, channels and data type.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from data_prep.embedding.crop_images import CropImages, reduced
from tfvqgen.data.schema import to_unit
from tfvqgen.errors import DataError
from tfvqgen.files import blamed_on, read_json, sync_folder
from tfvqgen.models import PairedInpainting

EXTRACTOR = "extractor"
ABOUT = "assets/about.json"
FORMAT = 1
_GRAPH = "saved_model.pb"
# Of a run that was killed; the next one removes it.
_TEMPORARY = ".extractor-"


def write_extractor(
    folder: str | os.PathLike,
    model: PairedInpainting,
    images: CropImages,
    about: Mapping[str, Any],
) -> Path:
    """Writes the extractor, whole or not at all, unless it is there.

    Args:
        folder: Where to, with nobody else writing there.
        model: With the weights to use.
        images: The crops that it was made for.
        about: What ``features.json`` says of the features.

    Returns:
        The extractor's folder.
    """
    target = Path(folder) / EXTRACTOR
    about = {
        "format": FORMAT,
        **about,
        "channels": list(images.folder.channels),
        "dtype": images.folder.dtype,
    }
    for left in target.parent.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(left)
    if _is_there(target, about):
        return target
    with blamed_on(target, temporary=target.parent / _TEMPORARY):
        scratch = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
        try:
            made, old = scratch / "made", scratch / "old"
            _save(made, model, images, about)
            for path in [*made.rglob("*"), made]:
                _sync(path)
            if target.exists():
                target.rename(old)
            made.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        sync_folder(target.parent)
    return target


def _is_there(target: Path, about: dict[str, Any]) -> bool:
    try:
        return (target / _GRAPH).is_file() and read_json(target / ABOUT) == about
    except DataError:
        return False


def _save(
    folder: Path, model: PairedInpainting, images: CropImages, about: dict[str, Any]
) -> None:
    channels = images.folder.channels
    chosen = [channels.index(name) for name in images.channels]
    shape = [None, None, None, len(channels)]

    @tf.function(input_signature=[tf.TensorSpec(shape, images.dtype, "images")])
    def features(images_given):
        seen = reduced(tf.gather(images_given, chosen, axis=-1), images.size)
        return {"features": model.features(to_unit(seen))}

    module = tf.Module()
    # Keras objects would be traced with inputs of their own, and those of the decoder
    # are not needed.
    module.weights = list(features.get_concrete_function().graph.variables)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, Path(ABOUT).name)
        path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
        module.model_info = tf.saved_model.Asset(str(path))
        signatures = {"serving_default": features}
        tf.saved_model.save(module, str(folder), signatures=signatures)


def _sync(path: Path) -> None:
    """Has a file or folder on disk before the rename that gives it its name."""
    if path.is_dir():
        sync_folder(path)
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())
