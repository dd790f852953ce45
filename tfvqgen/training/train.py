"""Trains the requested stages in order: what ``train.py`` and ``tfvqgen train`` do."""

import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data import codes, schema
from tfvqgen.errors import UserError
from tfvqgen.files import write_json
from tfvqgen.models import LEVELS
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_averages, restore_model
from tfvqgen.training.loop import Loop, require_even_parts
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
from tfvqgen.training.workdir import Workdir

TRAINED_STAGES = ("vqvae", *LEVELS)


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
    chosen = distribution.make_strategy(strategy)
    if stage in ("all", "codes") and distribution.num_workers(chosen) > 1:
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
    with target.locked(worker=distribution.worker_index(chosen)):
        config = target.settle_config(
            preset=preset, overrides=overrides, seed=seed, dataset=dataset.info
        )
        _require_symmetries(config, target, stage)
        for name in trained:
            section = getattr(config, name)
            parts = section.accumulation if name in LEVELS else 1
            require_even_parts(section.batch_size, chosen.num_replicas_in_sync * parts)
        target.keep_config(config, dataset.info)
        if stage in ("all", "vqvae"):
            _train_autoencoder(config, dataset, target, chosen, init_from)
        if stage in ("all", "codes"):
            written = write_codes(target, config, dataset, chosen)
            print(f"codes: {'written' if written else 'done already'}")
        for level in LEVELS:
            if stage in ("all", level):
                _train_prior(level, config, dataset, target, chosen, init_from)


def _train_autoencoder(
    config: Config,
    dataset: schema.Dataset,
    workdir: Workdir,
    strategy: tf.distribute.Strategy,
    init_from: str | os.PathLike | None,
) -> None:
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        stage = AutoencoderStage(config, dataset)
        if init_from is not None:
            _start_from(init_from, stage, workdir)
    loop = Loop(stage, strategy, workdir, seed=config.seed)
    metrics = loop.run()
    if not metrics:
        print(f"vqvae: done already, at step {loop.step}")
        return
    print(
        f"vqvae: step {loop.step}, PSNR {metrics['psnr']:.2f} dB, codes in use "
        f"{metrics['top_usage']:.0%} top, {metrics['bottom_usage']:.0%} bottom; see "
        f"{workdir.stage('vqvae') / 'reconstructions.png'}"
    )


def _train_prior(
    level: str,
    config: Config,
    dataset: schema.Dataset,
    workdir: Workdir,
    strategy: tf.distribute.Strategy,
    init_from: str | os.PathLike | None,
) -> None:
    keras.utils.set_random_seed(config.seed)
    autoencoder, _ = load_autoencoder(workdir)
    folder = workdir.stage("codes")
    info = codes.read_codes_info(folder)
    codes.require_current(
        info,
        dataset_fingerprint=dataset.fingerprint(),
        autoencoder_fingerprint=fingerprint(autoencoder),
    )
    _require_same_codes(workdir, level, info)
    with strategy.scope():
        stage = PriorStage(
            level,
            config,
            codes.CodeSplit(folder, "train", info),
            codes.CodeSplit(folder, "validation", info),
            autoencoder,
            dataset.info.display_channels,
        )
        if init_from is not None:
            _start_from(init_from, stage, workdir)
    loop = Loop(stage, strategy, workdir, seed=config.seed)
    metrics = loop.run()
    if not metrics:
        print(f"{level}: done already, at step {loop.step}")
        return
    print(
        f"{level}: step {loop.step}, {metrics['bits_per_code']:.3f} bits per code on "
        f"the validation split (unigram {metrics['unigram_bits_per_code']:.3f}); see "
        f"{workdir.stage(level) / 'samples.png'}"
    )


def _require_symmetries(config: Config, workdir: Workdir, stage: str) -> None:
    """Refuses another number of symmetries than codes or priors already have."""
    wanted = config.codes.symmetries
    for level in filter(workdir.has_checkpoint, LEVELS):
        found = read_origin(workdir, level).get("symmetries")
        if found != wanted:
            raise UserError(
                f"the {level} prior was trained on codes in another number of "
                f"symmetries: expected codes.symmetries={found}; remove "
                f"{workdir.stage(level)} to train it again. "
                f"Received: codes.symmetries={wanted}"
            )
    if stage in LEVELS:
        info = codes.read_codes_info(workdir.stage("codes"))
        if info.symmetries != wanted:
            raise UserError(
                "the codes have another number of symmetries: expected "
                f"codes.symmetries={wanted}; run --stage=codes first. "
                f"Received: codes with symmetries={info.symmetries}"
            )


def _require_same_codes(workdir: Workdir, level: str, info: codes.CodesInfo) -> None:
    """Refuses to resume a prior on other codes than it was trained on."""
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


def _start_from(init_from, stage: Stage, workdir: Workdir) -> None:
    """Copies the weights of another workdir, unless this one has a checkpoint."""
    if workdir.has_checkpoint(stage.name):
        print(f"{stage.name}: resumes from its own checkpoint; --init_from is ignored")
        return
    other = Workdir(init_from)
    folder = other.checkpoints(stage.name)
    if stage.averages:
        step = restore_averages(stage.model, folder)
        stage.averages.restart()
    else:
        step = restore_model(stage.model, folder)
    workdir.stage(stage.name).mkdir(parents=True, exist_ok=True)
    write_json(
        workdir.stage(stage.name) / "started_from.json",
        {"workdir": str(other.path), "step": step},
    )
    print(f"{stage.name}: starts from the weights of {other.path} at step {step}")
