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
from tfvqgen.files import sha256_of_file, sync_folder
from tfvqgen.models import VQVAE2
from tfvqgen.training.trained_models import fingerprint, load_autoencoder
from tfvqgen.training.workdir import Workdir


def write_codes(
    workdir: Workdir,
    config: Config,
    dataset: schema.Dataset,
    strategy: tf.distribute.Strategy,
) -> bool:
    """Encodes every split into ``<workdir>/codes``; returns whether this was needed.

    The folder gets its name once all shards are there. After an interruption finished
    shards are kept, as long as data and autoencoder are the same.

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
        dataset_fingerprint=dataset.info.fingerprint(),
        autoencoder_fingerprint=fingerprint(autoencoder),
        splits={},
    )
    folder = workdir.stage("codes")
    if _is_current(folder, info):
        return False
    origin = (info.dataset_fingerprint, info.autoencoder_fingerprint, info.symmetries)
    key = hashlib.sha256(repr(origin).encode()).hexdigest()[:16]
    partial = workdir.path / f".codes-{key}.partial"
    for other in set(workdir.path.glob(".codes-*.partial")) - {partial}:
        shutil.rmtree(other)
    partial.mkdir(exist_ok=True)
    encode = _make_encode(strategy, autoencoder, config.vqvae.batch_size)
    splits = _encode_splits(partial, dataset, info.symmetries, encode)
    codes.write_codes_info(partial, dataclasses.replace(info, splits=splits))
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


def _encode_splits(
    partial: Path, dataset: schema.Dataset, symmetries: int, encode
) -> dict[str, tuple[Shard, ...]]:
    """Encodes all shards that are not finished; returns the code shards by split."""
    splits = dataset.info.splits
    # Only training images are encoded in all symmetries.
    turns = {name: range(symmetries if name == "train" else 1) for name in splits}
    total = sum(split.num_examples * len(turns[name]) for name, split in splits.items())
    written: dict[str, tuple[Shard, ...]] = dict.fromkeys(splits, ())
    with tqdm(desc="codes", total=total, unit="image", dynamic_ncols=True) as bar:
        for name, split in splits.items():
            for shard in split.shards:
                path = partial / shard.path
                if path.exists():
                    # An earlier run has finished it.
                    count = shard.num_examples * len(turns[name])
                    size, digest = path.stat().st_size, sha256_of_file(path)
                    done = Shard(path.name, size, count, digest)
                    bar.update(count)
                else:
                    only = dataclasses.replace(
                        split, num_examples=shard.num_examples, shards=(shard,)
                    )
                    info = dataclasses.replace(dataset.info, splits={name: only})
                    alone = schema.Split(dataset.folder, name, info)
                    done = _encode_shard(path, alone, encode, turns[name], bar)
                written[name] += (done,)
    return written


def _encode_shard(path: Path, split: schema.Split, encode, turns, bar) -> Shard:
    """Encodes one shard of images, in some symmetries, into one shard of codes."""

    def records() -> Iterator[bytes]:
        for turn in turns:
            for top, bottom, labels, index in encode(split, turn):
                names = split.crop_ids(index)
                labels = map(np.flatnonzero, labels)
                yield from map(codes.serialize_codes, top, bottom, labels, names)
                bar.update(len(index))

    try:
        return write_shard(path, records())
    except READ_ERRORS as error:
        raise input_pipeline.diagnose(error, split) from error


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
            values = top, bottom, batch["labels"], batch["index"]
            parts = map(strategy.experimental_local_results, values)
            values = [np.concatenate(part) for part in parts]
            # Rows that only fill up a batch have the index -1.
            yield [value[values[-1] >= 0] for value in values]

    return encode
