"""Trains the requested stages in order: what ``train.py`` and ``tfvqgen train`` do."""

import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfvqgen.config import Config, StageConfig
from tfvqgen.data import codes, schema
from tfvqgen.errors import UserError
from tfvqgen.files import write_json
from tfvqgen.models import LEVELS
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_averages, restore_model
from tfvqgen.training.loop import Loop
from tfvqgen.training.stages.base import Stage
from tfvqgen.training.stages.codes import write_codes
from tfvqgen.training.stages.prior import PriorStage
from tfvqgen.training.stages.vqvae import AutoencoderStage
from tfvqgen.training.trained_models import (
    fingerprint,
    load_autoencoder,
    origin_file,
    read_origin,
)
from tfvqgen.training.workdir import TRAINED_STAGES, Workdir


def train(
    *,
    data_dir: str | os.PathLike,
    workdir: str | os.PathLike,
    preset: str | None = None,
    stage: str = "all",
    overrides: Sequence[str] = (),
    steps: int | None = None,
    seed: int | None = None,
    strategy: str = "auto",
    init_from: str | os.PathLike | None = None,
    verify_data: bool = False,
) -> None:
    """Trains the requested stages; ``train.py --help`` explains the arguments.

    Everything that can be refused is refused before anything is written.

    Raises:
        UserError: The request cannot be fulfilled.
        DataError: The data are damaged.
    """
    devices = distribution.make_strategy(strategy)
    if stage in ("all", "codes") and distribution.num_workers(devices) > 1:
        raise UserError(
            "only one process can write codes: expected --stage=vqvae, top or bottom "
            "with several workers, and --stage=codes with another --strategy. "
            f"Received: --stage={stage}"
        )
    dataset = schema.open_dataset(data_dir, verify=verify_data)
    for split in ("train", "validation"):
        dataset.split(split)
    target = Workdir(workdir)
    trained = [name for name in TRAINED_STAGES if stage in ("all", name)]
    if init_from is not None:
        _require_weights(Workdir(init_from), trained, target)
    if steps is not None:
        overrides = [*(f"{name}.steps={steps}" for name in trained), *overrides]
    with target.locked(worker=distribution.worker_index(devices)):
        config = target.settle_config(
            preset=preset, overrides=overrides, seed=seed, dataset=dataset.info
        )
        if stage in LEVELS:
            wanted = config.codes.symmetries
            found = codes.read_codes_info(target.stage("codes")).symmetries
            if found != wanted:
                raise UserError(
                    "the codes have another number of symmetries: expected "
                    f"codes.symmetries={wanted}; run --stage=codes first. "
                    f"Received: codes with symmetries={found}"
                )
        for name in trained:
            _require_divisible(getattr(config, name), devices.num_replicas_in_sync)
        target.keep_config(config, dataset.info)
        for name in ("vqvae", "codes", *LEVELS):
            if name == "codes" and stage in ("all", name):
                written = write_codes(target, config, dataset, devices)
                print(f"codes: {'written' if written else 'done already'}")
            elif name in trained:
                _train_stage(name, config, dataset, target, devices, init_from)


def _train_stage(
    name: str,
    config: Config,
    dataset: schema.Dataset,
    workdir: Workdir,
    strategy: tf.distribute.Strategy,
    init_from: str | os.PathLike | None,
) -> None:
    keras.utils.set_random_seed(config.seed)
    if name in LEVELS:
        autoencoder, _ = load_autoencoder(workdir)
        splits = _open_codes(name, dataset, workdir, autoencoder)
    with strategy.scope():
        if name in LEVELS:
            display = dataset.info.display_channels
            stage = PriorStage(name, config, *splits, autoencoder, display)
        else:
            stage = AutoencoderStage(config, dataset)
        if init_from is not None:
            _start_from(Workdir(init_from), stage, workdir)
    loop = Loop(stage, strategy, workdir, seed=config.seed)
    if not (metrics := loop.run()):
        print(f"{name}: done already, at step {loop.step}")
    elif name == "vqvae":
        print(
            f"vqvae: step {loop.step}, PSNR {metrics['psnr']:.2f} dB, codes in use "
            f"{metrics['top_usage']:.0%} top, {metrics['bottom_usage']:.0%} bottom; "
            f"see {workdir.stage(name) / 'reconstructions.png'}"
        )
    else:
        print(
            f"{name}: step {loop.step}, {metrics['bits_per_code']:.3f} bits per code "
            "on the validation split (unigram "
            f"{metrics['unigram_bits_per_code']:.3f}); see "
            f"{workdir.stage(name) / 'samples.png'}"
        )


def _open_codes(
    level: str, dataset: schema.Dataset, workdir: Workdir, autoencoder
) -> list[codes.CodeSplit]:
    """Returns the codes for training and validation of a prior.

    They must be those of the autoencoder, and those that the prior was trained on.
    """
    folder = workdir.stage("codes")
    info = codes.read_codes_info(folder)
    codes.require_current(
        info,
        dataset_fingerprint=dataset.info.fingerprint(),
        autoencoder_fingerprint=fingerprint(autoencoder),
    )
    path = origin_file(workdir, level)
    origin = {
        "autoencoder_fingerprint": info.autoencoder_fingerprint,
        "symmetries": info.symmetries,
    }
    if not workdir.has_checkpoint(level):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, origin)
    elif (found := read_origin(workdir, level)) != origin:
        raise UserError(
            f"the {level} prior was trained on other codes: expected {origin}; remove "
            f"{path.parent} to train it again. Received: {found}"
        )
    return [codes.CodeSplit(folder, name, info) for name in ("train", "validation")]


def _require_divisible(section: StageConfig, replicas: int) -> None:
    parts = replicas * getattr(section, "accumulation", 1)
    if section.batch_size % parts:
        raise UserError(
            "the batch cannot be split into equal parts for replicas and gradient "
            f"accumulation: expected batch_size to be a multiple of {parts}. "
            f"Received: batch_size={section.batch_size}"
        )


def _require_weights(other: Workdir, stages: Sequence[str], workdir: Workdir) -> None:
    """Refuses a workdir without the weights of all stages that start from it."""
    if not stages:
        raise UserError(
            "--stage=codes trains no weights: expected --init_from with another "
            f"stage. Received: --stage=codes --init_from={other.path}"
        )
    for stage in stages:
        if not workdir.has_checkpoint(stage) and not other.has_checkpoint(stage):
            raise UserError(
                f"{stage}: no weights to start from: expected checkpoints in "
                f"{other.checkpoints(stage)}; use --stage to train only stages that it "
                f"has. Received: --init_from={other.path}"
            )


def _start_from(other: Workdir, stage: Stage, workdir: Workdir) -> None:
    """Copies the weights of another workdir, unless this one has a checkpoint."""
    if workdir.has_checkpoint(stage.name):
        print(f"{stage.name}: resumes from its own checkpoint; --init_from is ignored")
        return
    folder = other.checkpoints(stage.name)
    if stage.averages:
        step = restore_averages(stage.model, folder)
        stage.averages.restart()
    else:
        step = restore_model(stage.model, folder)
    path = workdir.stage(stage.name) / "started_from.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"workdir": str(other.path), "step": step})
    print(f"{stage.name}: starts from the weights of {other.path} at step {step}")
