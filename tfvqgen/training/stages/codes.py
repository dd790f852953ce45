"""The stage ``codes``: all images through the trained autoencoder, to code shards."""

import dataclasses
import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.config import Config
from tfvqgen.data import codes, input_pipeline, schema
from tfvqgen.data.dataset_info import Shard
from tfvqgen.data.input_pipeline import symmetry
from tfvqgen.data.tfrecords import READ_ERRORS, write_shard
from tfvqgen.errors import DataError
from tfvqgen.files import read_sealed_json, sync_folder, write_sealed_json
from tfvqgen.models import VQVAE2
from tfvqgen.training.trained_models import fingerprint, load_autoencoder
from tfvqgen.training.workdir import Workdir

# Shapes: top codes [B, h, w], bottom codes [B, 2h, 2w].


# What a finished shard's description is called until all are finished.
_DESCRIPTION = ".finished"


def write_codes(
    workdir: Workdir,
    config: Config,
    dataset: schema.Dataset,
    strategy: tf.distribute.Strategy,
) -> bool:
    """Encodes every split into ``<workdir>/codes``.

    Shards that were finished before an interruption are kept, as long as data and
    autoencoder are the same; the folder appears under its name once all are there.

    Returns:
        Whether there was anything to do.

    Raises:
        UserError: The autoencoder is not trained.
        DataError: A record cannot be read.
    """
    with strategy.scope():
        autoencoder, _ = load_autoencoder(workdir)
    info = codes.CodesInfo(
        symmetries=config.codes.symmetries,
        top_shape=config.vqvae.top_shape,
        bottom_shape=config.vqvae.bottom_shape,
        num_embeddings=config.vqvae.num_embeddings,
        labels=dataset.info.labels,
        dataset_fingerprint=dataset.fingerprint(),
        autoencoder_fingerprint=fingerprint(autoencoder),
        splits={},
    )
    folder = workdir.stage("codes")
    if _is_current(folder, info):
        return False
    partial = _partial_folder(workdir, info)
    encode = _make_encode(strategy, autoencoder, config.vqvae.batch_size)
    splits = _encode_splits(partial, dataset, info.symmetries, encode)
    codes.write_codes_info(partial, dataclasses.replace(info, splits=splits))
    for description in partial.glob(f"*{_DESCRIPTION}"):
        description.unlink()
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    sync_folder(workdir.path)
    return True


def _is_current(folder: Path, info: codes.CodesInfo) -> bool:
    if not (folder / codes.FILE_NAME).exists():
        return False
    try:
        found = codes.read_codes_info(folder)
        codes.require_whole(folder, found)
    except DataError as error:
        print(f"warning: codes are written again: {error}", file=sys.stderr)
        return False
    return dataclasses.replace(found, splits={}) == info


def _partial_folder(workdir: Workdir, info: codes.CodesInfo) -> Path:
    """Returns where these codes grow; what is left of others is removed."""
    origin = (info.dataset_fingerprint, info.autoencoder_fingerprint, info.symmetries)
    key = hashlib.sha256(repr(origin).encode()).hexdigest()[:16]
    partial = workdir.path / f".codes-{key}.partial"
    for other in workdir.path.glob(".codes-*.partial"):
        if other != partial:
            shutil.rmtree(other)
    partial.mkdir(parents=True, exist_ok=True)
    return partial


def _encode_splits(
    partial: Path, dataset: schema.Dataset, symmetries: int, encode
) -> dict[str, tuple[Shard, ...]]:
    """Encodes what is not finished yet; returns the code shards of each split."""
    splits = dataset.info.splits
    # Held-out crops are judged as they are.
    turns = {name: range(symmetries if name == "train" else 1) for name in splits}
    total = sum(split.num_examples * len(turns[name]) for name, split in splits.items())
    with tqdm(desc="codes", total=total, unit="image", dynamic_ncols=True) as bar:
        return {
            name: tuple(
                _finished(partial, shard, bar)
                or _encode_shard(
                    partial, dataset, name, shard, encode, turns[name], bar
                )
                for shard in split.shards
            )
            for name, split in splits.items()
        }


def _finished(partial: Path, shard: Shard, bar) -> Shard | None:
    """Returns the description of a code shard that an earlier run completed."""
    description = partial / f"{shard.path}{_DESCRIPTION}"
    if not description.exists():
        return None
    try:
        finished = Shard(**read_sealed_json(description)["shard"])
    except (DataError, KeyError, TypeError):
        return None
    bar.update(finished.num_examples)
    return finished


def _encode_shard(partial, dataset, split_name, shard, encode, turns, bar) -> Shard:
    """Encodes one shard of images, in some symmetries, into one shard of codes."""
    only = dataclasses.replace(
        dataset.info.splits[split_name],
        num_examples=shard.num_examples,
        shards=(shard,),
    )
    info = dataclasses.replace(dataset.info, splits={split_name: only})
    split = schema.Split(dataset.folder, split_name, info)

    def records() -> Iterator[bytes]:
        for turn in turns:
            for top, bottom, labels, index in encode(split, turn):
                names = split.crop_ids(index)
                for row in zip(top, bottom, labels, names, strict=True):
                    yield codes.serialize_codes(
                        row[0], row[1], np.flatnonzero(row[2]), row[3]
                    )
                bar.update(len(index))

    try:
        written = write_shard(partial / shard.path, records())
    except READ_ERRORS as error:
        raise input_pipeline.diagnose(error, split) from error
    description = partial / f"{shard.path}{_DESCRIPTION}"
    write_sealed_json(description, {"shard": dataclasses.asdict(written)})
    return written


def _make_encode(
    strategy: tf.distribute.Strategy, autoencoder: VQVAE2, batch_size: int
):
    """Returns a generator function that encodes a split, turned by a symmetry.

    It yields arrays of top codes, bottom codes, labels and the examples' numbers.
    """

    def replica_encode(batch, turn):
        images = tf.map_fn(lambda image: symmetry(image, turn), batch["image"])
        return autoencoder.encode(schema.to_unit(images))

    @tf.function
    def distributed_encode(batch, turn):
        return strategy.run(replica_encode, args=(batch, turn))

    def together(value) -> np.ndarray:
        parts = strategy.experimental_local_results(value)
        return np.concatenate([part.numpy() for part in parts])

    def encode(split, turn):
        batches = strategy.distribute_datasets_from_function(
            lambda context: input_pipeline.evaluation_examples(
                split,
                batch_size=batch_size,
                num_replicas_per_worker=context.num_replicas_in_sync,
            )
        )
        for batch in batches:
            top, bottom = distributed_encode(batch, tf.constant(turn))
            real = together(batch["index"]) >= 0
            yield tuple(
                together(value)[real]
                for value in (top, bottom, batch["labels"], batch["index"])
            )

    return encode
