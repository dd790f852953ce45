"""The stage ``codes``: encodes all images with the trained autoencoder."""

# Shapes: top codes [B, h, w], bottom codes [B, 2h, 2w].

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
from tfvqgen.data.tfrecords import READ_ERRORS, write_shard
from tfvqgen.errors import DataError
from tfvqgen.files import read_sealed_json, sync_folder, write_sealed_json
from tfvqgen.models import VQVAE2
from tfvqgen.training.trained_models import fingerprint, load_autoencoder
from tfvqgen.training.workdir import Workdir

# Suffix of the description of a finished shard, until all shards are finished.
_FINISHED = ".finished"


def write_codes(
    workdir: Workdir,
    config: Config,
    dataset: schema.Dataset,
    strategy: tf.distribute.Strategy,
) -> bool:
    """Encodes every split into ``<workdir>/codes``.

    The folder gets its name once all shards are there. After an interruption finished
    shards are kept, as long as data and autoencoder are the same.

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
    for description in partial.glob(f"*{_FINISHED}"):
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
    """Returns the folder where these codes are written, and removes all others."""
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
    """Encodes all shards that are not finished; returns the code shards by split."""
    splits = dataset.info.splits
    # Only training images are encoded in all symmetries.
    turns = {name: range(symmetries if name == "train" else 1) for name in splits}
    total = sum(split.num_examples * len(turns[name]) for name, split in splits.items())
    written: dict[str, tuple[Shard, ...]] = {}
    with tqdm(desc="codes", total=total, unit="image", dynamic_ncols=True) as bar:
        for name, split in splits.items():
            shards = []
            for shard in split.shards:
                done = _read_finished(partial, shard)
                if done is None:
                    alone = _split_of_one_shard(dataset, name, shard)
                    done = _encode_shard(partial, alone, encode, turns[name], bar)
                else:
                    bar.update(done.num_examples)
                shards.append(done)
            written[name] = tuple(shards)
    return written


def _read_finished(partial: Path, shard: Shard) -> Shard | None:
    """Returns the description of a code shard that an earlier run finished."""
    description = partial / f"{shard.path}{_FINISHED}"
    if not description.exists():
        return None
    try:
        return Shard(**read_sealed_json(description)["shard"])
    except (DataError, KeyError, TypeError):
        return None


def _split_of_one_shard(
    dataset: schema.Dataset, name: str, shard: Shard
) -> schema.Split:
    only = dataclasses.replace(
        dataset.info.splits[name], num_examples=shard.num_examples, shards=(shard,)
    )
    info = dataclasses.replace(dataset.info, splits={name: only})
    return schema.Split(dataset.folder, name, info)


def _encode_shard(partial: Path, split: schema.Split, encode, turns, bar) -> Shard:
    """Encodes one shard of images, in some symmetries, into one shard of codes."""

    def records() -> Iterator[bytes]:
        for turn in turns:
            for top, bottom, labels, index in encode(split, turn):
                names = split.crop_ids(index)
                for row in zip(top, bottom, labels, names, strict=True):
                    yield codes.serialize_codes(
                        row[0], row[1], np.flatnonzero(row[2]), row[3]
                    )
                bar.update(len(index))

    (shard,) = split.info.shards
    try:
        written = write_shard(partial / shard.path, records())
    except READ_ERRORS as error:
        raise input_pipeline.diagnose(error, split) from error
    description = partial / f"{shard.path}{_FINISHED}"
    write_sealed_json(description, {"shard": dataclasses.asdict(written)})
    return written


def _make_encode(
    strategy: tf.distribute.Strategy, autoencoder: VQVAE2, batch_size: int
):
    """Returns a generator function that encodes a split in one symmetry.

    It yields arrays of top codes, bottom codes, labels and the numbers of the examples.
    """

    def replica_encode(batch, turn):
        images = tf.map_fn(
            lambda image: input_pipeline.symmetry(image, turn), batch["image"]
        )
        return autoencoder.encode(schema.to_unit(images))

    @tf.function
    def distributed_encode(batch, turn):
        return strategy.run(replica_encode, args=(batch, turn))

    def joined(value) -> np.ndarray:
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
            real = joined(batch["index"]) >= 0
            yield tuple(
                joined(value)[real]
                for value in (top, bottom, batch["labels"], batch["index"])
            )

    return encode
