"""Features of all crops, streamed through the network in batches."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep.embedding.crop_images import CropImages, reduced
from tfvqgen.data.input_pipeline import Share, batches
from tfvqgen.data.schema import to_unit
from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.errors import DataError
from tfvqgen.files import blamed_on, read_json, sync_folder
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import FEATURE_BLOCK

# Shapes: N crops, B crops of a batch, F features.


BATCH_SIZE = 64


def feature_batches(
    model: PairedInpainting,
    images: CropImages,
    *,
    block: int = FEATURE_BLOCK,
    batch_size: int = BATCH_SIZE,
) -> Iterator[np.ndarray]:
    """Yields the features of all crops, in the table's order.

    A crop's features depend on its image alone. The last batch is filled up, so that
    all run through one graph.

    Args:
        model: With the weights to use.
        images: The crops, their protein first.
        block: Of the source encoder.
        batch_size: B.

    Yields:
        Float32 [B, F], the last one what is left.

    Raises:
        DataError: A crop cannot be read.
    """
    read = images.reader()
    last = len(images) - 1
    share = Share(batch_size)
    steps = -(-len(images) // batch_size)
    numbers = tf.data.Dataset.range(steps * batch_size)
    found = batches(
        numbers, lambda number: {"image": read(tf.minimum(number, last))}, share
    )

    @tf.function
    def features(batch):
        return model.features(to_unit(batch), block)

    with tqdm(total=len(images), desc="features", unit="crop") as progress:
        try:
            for batch in found:
                left = len(images) - progress.n
                values = features(batch["image"]).numpy()[:left]
                progress.update(len(values))
                yield values
        except READ_ERRORS as error:
            raise images.explain(error) from error


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
