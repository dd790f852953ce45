"""Tiny crops folders and data sets for tests, and how TensorFlow runs in them."""

import argparse
import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.data import crops, dataset_info, images, schema, tfrecords

# Two logical CPUs, so that tests can train on two replicas in their own process.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

ROOT = Path(__file__).resolve().parents[1]
# Overrides (TINY) of the configuration for models that train within seconds.
_AUTOENCODER = (
    "image_shape=16,16,3 hidden=8 residual_width=4 num_embeddings=8 embedding_dim=4 "
    "quantize_after=2 bottom_dropout=0.2 dead_code_threshold=0.5"
)
_PRIOR = (
    "width=8 blocks=1 layers=1 residual_width=4 heads=2 key_dim=2 value_dim=2 "
    "condition_layers=1"
)
_SCHEDULE = (
    "batch_size=4 warmup_steps=2 decay_steps=20 log_every=2 validate_every=6 "
    "checkpoint_every=3"
)
TINY = [
    f"{stage}.{setting}"
    for stage, sizes in (("vqvae", _AUTOENCODER), ("top", _PRIOR), ("bottom", _PRIOR))
    for setting in f"{sizes} {_SCHEDULE}".split()
]
CHANNELS = ("red", "green", "blue", "yellow", "c5", "c6", "c7", "c8")


@contextlib.contextmanager
def eagerly(on: bool = True) -> Iterator[None]:
    """Runs every ``tf.function`` without its graph.

    A few steps of a tiny model take less time than making its graph.
    """
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(on)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def random_image(shape: Sequence[int], dtype: str = "uint8", seed: int = 0):
    """Returns noise over the whole range of the type, the worst case for a codec."""
    rng = np.random.default_rng(seed)
    top = np.iinfo(dtype).max
    return rng.integers(0, top, size=shape, dtype=dtype, endpoint=True)


def make_crops(
    folder: Path,
    labels: Sequence[Sequence[str]],
    *,
    groups: Sequence[str] | None = None,
    shape: Sequence[int] = (8, 8, 3),
    dtype: str = "uint8",
    labels_ordered: bool = False,
    **columns,
) -> Path:
    """Writes a folder with one random crop for each entry of `labels`.

    `columns` are further attributes of all crops (``accepted``, ``metadata``, ...).
    """
    channels = CHANNELS[: shape[-1]]
    (folder / "images").mkdir(parents=True)
    rows = []
    for index, names in enumerate(labels):
        crop_id = f"crop{index}"
        path = crops.image_name(crop_id, shape[-1])
        digest = images.write_image(
            folder / path, random_image(shape, dtype, index), channels
        )
        rows.append(
            crops.Crop(
                crop_id=crop_id,
                path=path,
                labels=tuple(names),
                group=groups[index] if groups else f"group{index // 2}",
                size=shape[0],
                sha256=digest,
                **{"pixel_size": 0.32, **columns},
            )
        )
    crops.write_crops(
        folder,
        rows,
        channels=channels,
        dtype=dtype,
        credit="random noise",
        labels_ordered=labels_ordered,
    )
    return folder


def make_dataset(
    folder: Path,
    splits: Mapping[str, int] | None = None,
    *,
    shape: Sequence[int] = (8, 8, 3),
    dtype: str = "uint8",
    labels: Sequence[str] = ("a", "b", "c"),
    example_labels: Sequence[Sequence[int]] | None = None,
    num_shards: int = 3,
) -> schema.Dataset:
    """Writes shards of random images and opens them.

    Example i of a split has the image ``random_image(shape, dtype, i)``, the id
    ``<split><i>`` and the labels ``example_labels[i]``, by default (i modulo L).
    """
    folder.mkdir(parents=True, exist_ok=True)
    infos = {}
    for split, size in (splits or {"train": 10}).items():
        chosen = [
            tuple(example_labels[i]) if example_labels else (i % len(labels),)
            for i in range(size)
        ]
        counts = {
            name: sum(k in each for each in chosen) for k, name in enumerate(labels)
        }
        encoded = [
            schema.serialize_example(
                random_image(shape, dtype, i),
                own,
                crop_id=f"{split}{i}",
                group=f"{split}-group{i}",
            )
            for i, own in enumerate(chosen)
        ]
        bounds = np.linspace(0, size, num_shards + 1).astype(int)
        shards = tuple(
            tfrecords.write_shard(
                folder / tfrecords.shard_name(split, k, num_shards),
                encoded[bounds[k] : bounds[k + 1]],
            )
            for k in range(num_shards)
        )
        infos[split] = dataset_info.SplitInfo(size, counts, size, shards)
    channels = CHANNELS[: shape[-1]]
    dataset_info.write_info(
        folder,
        dataset_info.DatasetInfo(
            image_shape=tuple(shape),
            dtype=dtype,
            channels=channels,
            display=dataset_info.default_display(channels),
            pixel_size=0.32,
            labels=tuple(labels),
            label_policy="multi_hot",
            credit="random noise",
            splits=infos,
        ),
    )
    return schema.open_dataset(folder)


def digest_of_folder(folder: Path) -> dict[str, str]:
    """Returns the sha256 of every file in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def environment(**variables: str) -> dict[str, str]:
    """Returns the environment of a process that imports the project from its tree."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run_command(command, *flags) -> None:
    """Runs a command's module as its user would."""
    parser = argparse.ArgumentParser()
    command.add_flags(parser)
    command.run(parser.parse_args([str(flag) for flag in flags]))
