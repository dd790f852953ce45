"""From a folder of crops to its features: trains the network, then runs it on all."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from data_prep.embedding.crop_features import (
    read_features,
    require_current,
    write_features,
)
from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.extractor import feature_batches, write_extractor
from data_prep.embedding.network_settings import (
    NetworkSettings,
    crops_fingerprint,
    keep_settings,
    settle,
)
from data_prep.embedding.pairing import Groups, Pairs, group_crops
from tfvqgen.data.crops import CropFolder, read_crops
from tfvqgen.errors import DataError
from tfvqgen.files import exclusive
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import FEATURE_BLOCK
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_model
from tfvqgen.training.loop import Loop
from tfvqgen.training.stages.inpainting import SECTION, InpaintingStage
from tfvqgen.training.trained_models import fingerprint
from tfvqgen.training.workdir import Workdir


def embed(
    crops: str | os.PathLike,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    protein: str | None = None,
    markers: Sequence[str] | None = None,
    strategy: str = "auto",
) -> CropFolder:
    """Trains the pairing network and leaves features of all crops beside them.

    What is there already is gone on with, or left as it is. What is refused leaves
    nothing behind.

    Args:
        crops: The folder with ``crops.csv``.
        overrides: ``key=value`` strings for :class:`InpaintingConfig`.
        seed: Of the weights, the pairs and what is held out.
        protein: The channel to paint.
        markers: The channels that both cells show. For these three None keeps what a
            network that is there has.
        strategy: Where to train, see :func:`distribution.make_strategy`.

    Returns:
        The crops.

    Raises:
        UserError: What is asked for cannot be, or would change a trained network.
        DataError: The crops are damaged.
    """
    folder = read_crops(crops)
    chosen = distribution.make_strategy(strategy)
    with exclusive(folder.folder / SECTION, "the folder of the pairing network"):
        settings = settle(
            folder, overrides=overrides, seed=seed, protein=protein, markers=markers
        )
        images = CropImages(folder, settings.channels, settings.config.size)
        if settings.crops == crops_fingerprint(folder):
            groups = _groups(folder, settings)
            keep_settings(folder, settings)
            model, step = _train(images, groups, settings, chosen)
        else:
            keep_settings(folder, settings)
            model, step = load_network(folder, settings)
            print(f"{SECTION}: trained on other crops, and taken as it is")
        about = {
            "model": fingerprint(model),
            "config": {
                "method": "paired cell inpainting",
                "block": FEATURE_BLOCK,
                "size": settings.config.size,
                "width": settings.config.width,
                "protein": settings.protein,
                "markers": list(settings.markers),
                "seed": settings.seed,
                "step": step,
            },
        }
        _write_features(images, model, about)
        path = write_extractor(folder.folder / SECTION, model, images, about)
        print(f"extractor: {path}")
    return folder


def load_network(
    folder: CropFolder, settings: NetworkSettings
) -> tuple[PairedInpainting, int]:
    """Returns the network of ``<crops>/inpainting`` as it was last saved, and its step.

    Raises:
        UserError: There is none, or it is of another architecture.
    """
    config = settings.config
    model = PairedInpainting(len(settings.markers), config.width, config.precision)
    model.build()
    step = restore_model(model, Workdir(folder.folder).checkpoints(SECTION))
    return model, step


def _groups(folder: CropFolder, settings: NetworkSettings) -> Groups:
    config = settings.config
    groups = group_crops(
        folder.rows,
        min_group=config.min_group,
        validation_share=config.validation_share,
        seed=settings.seed,
    )
    for reason, count in groups.left_out.items():
        print(f"no pairs of {count} crops: {reason}")
    return groups


def _train(
    images: CropImages, groups: Groups, settings: NetworkSettings, strategy
) -> tuple[PairedInpainting, int]:
    """Trains, or goes on to train, in ``<crops>/inpainting``.

    Returns:
        The network with its last weights, and its step.
    """
    config = settings.config
    training = Pairs(images, groups.training, augment=config.augment)
    validation = Pairs(images, groups.validation)
    print(
        f"pairs: {training.num_examples} cells of {len(groups.training)} groups; held "
        f"out: {validation.num_examples} cells of {len(groups.validation)} groups"
    )
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        stage = InpaintingStage(config, training, validation)
    root = images.folder.folder
    loop = Loop(stage, strategy, Workdir(root), seed=settings.seed)
    figures = loop.run()
    if figures:
        print(
            f"{SECTION}: step {loop.step}, held-out error {figures['protein_mse']:.3g} "
            f"(mean image {figures['mean_image_mse']:.3g}); see "
            f"{root / SECTION / 'pairs.png'}"
        )
    else:
        print(f"{SECTION}: done already, at step {loop.step}")
    return stage.model, loop.step


def _write_features(
    images: CropImages, model: PairedInpainting, about: dict[str, Any]
) -> None:
    folder = images.folder
    if _features_are_there(folder, about):
        print("features: done already")
        return
    digest = write_features(
        folder.folder,
        feature_batches(model, images),
        crop_ids=[crop.crop_id for crop in folder.rows],
        crops=images.hashes(),
        **about,
    )
    print(f"features: {len(images)} crops, {digest[:12]}")


def _features_are_there(folder: CropFolder, about: dict[str, Any]) -> bool:
    try:
        features = read_features(folder.folder)
        require_current(features, folder)
    except DataError:
        return False
    return {"model": features.model, "config": features.config} == about
