"""Training from the command line's point of view: which stages, in which order."""

import os
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfvqgen.config import Config
from tfvqgen.data import schema
from tfvqgen.errors import UserError
from tfvqgen.files import write_json
from tfvqgen.training import distribution
from tfvqgen.training.autoencoder import AutoencoderStage
from tfvqgen.training.checkpoints import restore_model
from tfvqgen.training.encode import write_codes
from tfvqgen.training.loop import Loop
from tfvqgen.training.workdir import Workdir

TRAINED_STAGES = ("vqvae",)


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
    if stage != "vqvae" and distribution.num_workers(chosen) > 1:
        raise UserError(
            "codes are written by one process: expected --stage=vqvae with several "
            "workers, and another --strategy for what follows. "
            f"Received: --stage={stage}"
        )
    dataset = schema.open_dataset(data_dir, verify=verify_data)
    for split in ("train", "validation"):
        dataset.split(split)
    kept = Workdir(workdir)
    if steps is not None:
        named = TRAINED_STAGES if stage == "all" else (stage,)
        short = [f"{name}.steps={steps}" for name in named if name in TRAINED_STAGES]
        overrides = [*short, *overrides]
    with kept.locked(worker=distribution.worker_index(chosen)):
        config = kept.settle_config(
            preset=preset,
            overrides=overrides,
            seed=seed,
            dataset_fingerprint=dataset.fingerprint(),
            image_shape=dataset.info.image_shape,
        )
        if stage in ("all", "vqvae"):
            _train_autoencoder(config, dataset, kept, chosen, init_from)
        if stage in ("all", "codes"):
            _encode(config, dataset, kept, chosen)


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


def _start_from(init_from, stage: AutoencoderStage, workdir: Workdir) -> None:
    """Takes over another workdir's weights, unless this one has its own."""
    if workdir.has_checkpoint(stage.name):
        print(f"{stage.name}: has weights of its own; --init_from is not needed")
        return
    other = Workdir(init_from)
    step = restore_model(stage.model, other.checkpoints(stage.name))
    workdir.stage(stage.name).mkdir(parents=True, exist_ok=True)
    write_json(
        workdir.stage(stage.name) / "started_from.json",
        {"workdir": str(other.path), "step": step},
    )
    print(f"{stage.name}: starting from the weights of {other.path} at step {step}")


def _encode(config, dataset, workdir, strategy) -> None:
    written = write_codes(workdir, config, dataset, strategy)
    print(f"codes: {'written' if written else 'done already'}")
