"""From a folder of crops to features: trains the network and applies it to all crops.

The extractor is the same network as a SavedModel, which other programs can run on
images of any size.
"""

# Shapes: N crops, B crops of a batch, F features.

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep.embedding.crop_features import (
    read_features,
    require_current,
    write_features,
)
from data_prep.embedding.crop_images import CropImages, reduced
from data_prep.embedding.network_settings import (
    NetworkSettings,
    crops_fingerprint,
    keep_settings,
    settle,
)
from data_prep.embedding.pairing import Pairs, group_crops
from tfvqgen.data.crops import CropFolder, read_crops
from tfvqgen.data.input_pipeline import Share, batches
from tfvqgen.data.schema import to_unit
from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.errors import DataError
from tfvqgen.files import exclusive, read_json
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import FEATURE_BLOCK
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_model
from tfvqgen.training.loop import Loop
from tfvqgen.training.stages.inpainting import SECTION, InpaintingStage
from tfvqgen.training.trained_models import fingerprint
from tfvqgen.training.workdir import Workdir

BATCH_SIZE = 64
EXTRACTOR = "extractor"
# The description inside an extractor, and the format that it states.
_DESCRIPTION = "assets/about.json"
_FORMAT = 1


def embed(
    crops: str | os.PathLike,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    protein: str | None = None,
    markers: Sequence[str] | None = None,
    strategy: str = "auto",
) -> CropFolder:
    """Trains the network, writes the features of all crops and returns the crops.

    Training continues where it stopped, and finished parts are kept. A request that is
    refused leaves no files.

    Args:
        crops: The folder with ``crops.csv``.
        overrides: ``key=value`` strings for :class:`InpaintingConfig`.
        seed: Seed of the weights, the pairs and the choice of validation groups.
        protein: The channel that the network predicts.
        markers: The channels that it sees of both cells. None keeps the seed and the
            channels of an existing network.
        strategy: See :func:`distribution.make_strategy`.

    Raises:
        UserError: The request cannot be fulfilled, or would change a trained network.
        DataError: The crops are damaged.
    """
    folder = read_crops(crops)
    devices = distribution.make_strategy(strategy)
    with exclusive(folder.folder / SECTION, "the folder of the network"):
        settings = settle(
            folder, overrides=overrides, seed=seed, protein=protein, markers=markers
        )
        images = CropImages(folder, settings.channels, settings.config.size)
        if settings.crops == crops_fingerprint(folder):
            model, step = _train(images, settings, devices)
        else:
            keep_settings(folder, settings)
            model, step = load_network(folder, settings)
            print(f"{SECTION}: was trained on other crops and is used as it is")
        config = {
            "method": "paired cell inpainting",
            "block": FEATURE_BLOCK,
            "size": settings.config.size,
            "width": settings.config.width,
            "protein": settings.protein,
            "markers": list(settings.markers),
            "seed": settings.seed,
            "step": step,
        }
        origin = {"model": fingerprint(model), "config": config}
        _write_features(model, images, origin)
        path = write_extractor(folder.folder / SECTION, model, images, origin)
        print(f"extractor: {path}")
    return folder


def load_network(
    folder: CropFolder, settings: NetworkSettings
) -> tuple[PairedInpainting, int]:
    """Returns the trained network of ``<crops>/inpainting``, and its step.

    Raises:
        UserError: It is not trained, or has another architecture.
    """
    config = settings.config
    model = PairedInpainting(len(settings.markers), config.width, config.precision)
    model.build()
    step = restore_model(model, Workdir(folder.folder).checkpoints(SECTION))
    return model, step


def feature_batches(
    model: PairedInpainting, images: CropImages, *, batch_size: int = BATCH_SIZE
) -> Iterator[np.ndarray]:
    """Yields the features of all crops in the order of the table, float32 [B, F].

    The features of a crop depend on its image alone. All batches run through one graph:
    the last one is filled up for it.
    """
    read = images.reader()
    last = len(images) - 1
    steps = -(-len(images) // batch_size)
    found = batches(
        tf.data.Dataset.range(steps * batch_size),
        lambda number: {"image": read(tf.minimum(number, last))},
        Share(batch_size),
    )

    @tf.function
    def features(batch):
        return model.features(to_unit(batch))

    with tqdm(total=len(images), desc="features", unit="crop") as progress:
        try:
            for batch in found:
                values = features(batch["image"]).numpy()[: len(images) - progress.n]
                progress.update(len(values))
                yield values
        except READ_ERRORS as error:
            raise images.explain(error) from error


def write_extractor(
    folder: str | os.PathLike,
    model: PairedInpainting,
    images: CropImages,
    origin: Mapping[str, Any],
) -> Path:
    """Writes the extractor with ``model`` and ``config`` of the features, if need be.

    Its signature ``serving_default`` takes ``images`` [B, H, W, C] with all channels of
    the crops and returns ``features`` [B, F].
    """
    target = Path(folder) / EXTRACTOR
    channels, dtype = images.folder.channels, images.folder.dtype
    description = {"format": _FORMAT, **origin, "channels": list(channels)}
    description["dtype"] = dtype
    with contextlib.suppress(DataError):
        if read_json(target / _DESCRIPTION) == description:
            return target
    selected = [channels.index(name) for name in images.channels]
    shape = [None, None, None, len(channels)]

    @tf.function(input_signature=[tf.TensorSpec(shape, dtype, "images")])
    def features(given):
        seen = reduced(tf.gather(given, selected, axis=-1), images.size)
        return {"features": model.features(to_unit(seen))}

    module = tf.Module()
    # The Keras model would be saved with all its functions and with its decoder.
    module.weights = list(features.get_concrete_function().graph.variables)
    partial = target.with_name(f".{EXTRACTOR}.partial")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, Path(_DESCRIPTION).name)
        path.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        module.description = tf.saved_model.Asset(str(path))
        shutil.rmtree(partial, ignore_errors=True)
        signatures = {"serving_default": features}
        tf.saved_model.save(module, str(partial), signatures=signatures)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


def _train(
    images: CropImages, settings: NetworkSettings, strategy: tf.distribute.Strategy
) -> tuple[PairedInpainting, int]:
    """Trains in ``<crops>/inpainting``; returns the network and its step."""
    config = settings.config
    groups = group_crops(
        images.folder.rows,
        min_group=config.min_group,
        validation_share=config.validation_share,
        seed=settings.seed,
    )
    keep_settings(images.folder, settings)
    for reason, count in groups.left_out.items():
        print(f"pairs: none for {count} crops, which are {reason}")
    training = Pairs(images, groups.training, augment=config.augment)
    validation = Pairs(images, groups.validation)
    print(
        f"pairs: {training.num_examples} cells of {len(groups.training)} groups for "
        f"training, {validation.num_examples} of {len(groups.validation)} for "
        "validation"
    )
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        stage = InpaintingStage(config, training, validation)
    root = images.folder.folder
    loop = Loop(stage, strategy, Workdir(root), seed=settings.seed)
    metrics = loop.run()
    if metrics:
        print(
            f"{SECTION}: step {loop.step}, validation error "
            f"{metrics['protein_mse']:.3g} (of the mean image "
            f"{metrics['mean_image_mse']:.3g}); see {root / SECTION / 'pairs.png'}"
        )
    else:
        print(f"{SECTION}: done already, at step {loop.step}")
    return stage.model, loop.step


def _write_features(
    model: PairedInpainting, images: CropImages, origin: Mapping[str, Any]
) -> None:
    """Writes the features, unless those of the same origin are there."""
    folder = images.folder
    try:
        found = read_features(folder.folder)
        require_current(found, folder)
        if {"model": found.model, "config": found.config} == origin:
            print("features: done already")
            return
    except DataError:
        pass
    write_features(
        folder.folder,
        np.concatenate(list(feature_batches(model, images))),
        crop_ids=[crop.crop_id for crop in folder.rows],
        crops=[folder.image_hash(crop) for crop in folder.rows],
        **origin,
    )
    print(f"features: written for {len(images)} crops")
