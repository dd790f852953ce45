"""Training from the command line's point of view: which stages, in which order."""

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
    """Trains the stages asked for; see ``train.py --help`` for the arguments.

    Raises:
        UserError: Something asked for cannot be.
        DataError: The data are damaged.
    """
    chosen = distribution.make_strategy(strategy)
    if stage in ("all", "codes") and distribution.num_workers(chosen) > 1:
        raise UserError(
            "codes are written by one process: expected one stage at a time with "
            "several workers, and --stage=codes with another --strategy. "
            f"Received: --stage={stage}"
        )
    dataset = schema.open_dataset(data_dir, verify=verify_data)
    for split in ("train", "validation"):
        dataset.split(split)
    kept = Workdir(workdir)
    trained = [name for name in TRAINED_STAGES if stage in ("all", name)]
    if init_from is not None:
        _require_weights(Workdir(init_from), trained, kept)
    if steps is not None:
        overrides = [*(f"{name}.steps={steps}" for name in trained), *overrides]
    with kept.locked(worker=distribution.worker_index(chosen)):
        config = kept.settle_config(
            preset=preset,
            overrides=overrides,
            seed=seed,
            dataset=dataset.info,
        )
        _require_learnt_symmetries(config, kept)
        if stage in LEVELS:
            _require_symmetries(config, codes.read_codes_info(kept.stage("codes")))
        _require_even_batches(config, trained, chosen.num_replicas_in_sync)
        # Not before all that can be refused is: what is written here is asked for again
        # by the next run.
        kept.keep_config(config, dataset.info)
        if stage in ("all", "vqvae"):
            _train_autoencoder(config, dataset, kept, chosen, init_from)
        if stage in ("all", "codes"):
            _encode(config, dataset, kept, chosen)
        for level in LEVELS:
            if stage in ("all", level):
                _train_prior(level, config, dataset, kept, chosen, init_from)


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
    figures = loop.run()
    if not figures:
        print(f"vqvae: done already, at step {loop.step}")
        return
    print(
        f"vqvae: step {loop.step}, PSNR {figures['psnr']:.2f} dB, codes in use "
        f"{figures['top_usage']:.0%} top, {figures['bottom_usage']:.0%} bottom; see "
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
    figures = loop.run()
    if not figures:
        print(f"{level}: done already, at step {loop.step}")
        return
    print(
        f"{level}: step {loop.step}, {figures['bits_per_code']:.3f} bits per code held "
        f"out (unigram {figures['unigram_bits_per_code']:.3f}); see "
        f"{workdir.stage(level) / 'samples.png'}"
    )


def _require_symmetries(config: Config, info: codes.CodesInfo) -> None:
    """Refuses codes that were written before another number was asked for."""
    if info.symmetries != config.codes.symmetries:
        raise UserError(
            "the codes are not in the symmetries asked for: expected "
            f"codes.symmetries={config.codes.symmetries}, which --stage=codes writes. "
            f"Received: codes with symmetries={info.symmetries}"
        )


def _require_learnt_symmetries(config: Config, workdir: Workdir) -> None:
    """Refuses other symmetries than priors have learnt from, before any are encoded."""
    for level in filter(workdir.has_checkpoint, LEVELS):
        found = read_origin(workdir, level).get("symmetries")
        if found != config.codes.symmetries:
            raise UserError(
                f"the prior of the {level} codes has learnt from codes in other "
                f"symmetries: expected codes.symmetries={found}; remove "
                f"{workdir.stage(level)} to train it anew. "
                f"Received: codes.symmetries={config.codes.symmetries}"
            )


def _require_even_batches(
    config: Config, stages: Sequence[str], num_replicas: int
) -> None:
    """Refuses batches that do not divide over the replicas, before any is trained."""
    for stage in stages:
        section = getattr(config, stage)
        parts = section.accumulation if stage in LEVELS else 1
        require_even_parts(section.batch_size, num_replicas * parts)


def _require_same_codes(workdir: Workdir, level: str, info: codes.CodesInfo) -> None:
    """Refuses to go on with a prior on other codes than those it has learnt from."""
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
            f"the prior of the {level} codes has learnt from other codes: expected "
            f"{origin}; remove {path.parent} to train it anew. Received: {found}"
        )


def _require_weights(other: Workdir, stages: Sequence[str], workdir: Workdir) -> None:
    """Refuses to start from a workdir that has not trained all that is to start so."""
    if not stages:
        raise UserError(
            "codes start from no weights: expected --init_from with a stage that is "
            f"trained. Received: --stage=codes --init_from={other.path}"
        )
    for stage in stages:
        if not workdir.has_checkpoint(stage) and not other.has_checkpoint(stage):
            raise UserError(
                f"{stage}: no weights to start from: expected checkpoints in "
                f"{other.checkpoints(stage)}; --stage names one stage that starts from "
                f"another workdir. Received: --init_from={other.path}"
            )


def _start_from(init_from, stage: Stage, workdir: Workdir) -> None:
    """Takes over another workdir's weights, unless this one has its own."""
    if workdir.has_checkpoint(stage.name):
        print(f"{stage.name}: has weights of its own; --init_from is not needed")
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
    print(f"{stage.name}: starting from the weights of {other.path} at step {step}")


def _encode(config, dataset, workdir, strategy) -> None:
    written = write_codes(workdir, config, dataset, strategy)
    print(f"codes: {'written' if written else 'done already'}")
