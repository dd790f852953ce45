"""Shards of given or artificial images for the benchmarks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfvqgen.data import dataset_info, schema, tfrecords


def write(
    folder: Path,
    splits: Mapping[str, np.ndarray],
    channels: Sequence[str],
    num_shards: int = 4,
    labels: Mapping[str, np.ndarray] | None = None,
) -> schema.Dataset:
    """Writes images, uint8 [N, H, W, C] by split, as shards and opens them.

    Labels are bool [N, L] by split, and their names are numbers. Without labels all
    images have the same one.
    """
    if labels is None:
        labels = {split: np.ones((len(x), 1), bool) for split, x in splits.items()}
    vocabulary = tuple(map(str, range(next(iter(labels.values())).shape[1])))
    folder.mkdir(parents=True, exist_ok=True)
    infos = {}
    for split, images in splits.items():
        counts = labels[split].sum(axis=0).tolist()
        infos[split] = dataset_info.SplitInfo(
            num_examples=len(images),
            label_counts=dict(zip(vocabulary, counts, strict=True)),
            num_groups=1,
            shards=_write_split(folder, split, images, labels[split], num_shards),
        )
    info = dataset_info.DatasetInfo(
        image_shape=next(iter(splits.values())).shape[1:],
        dtype="uint8",
        channels=tuple(channels),
        display=dataset_info.default_display(channels),
        pixel_size=None,
        labels=vocabulary,
        label_policy="multi_hot",
        credit="",
        splits=infos,
    )
    dataset_info.write_info(folder, info)
    return schema.open_dataset(folder)


def _write_split(
    folder: Path, split: str, images: np.ndarray, labels: np.ndarray, num_shards: int
) -> tuple[tfrecords.Shard, ...]:
    """Writes every `num_shards`-th image into the same shard."""
    return tuple(
        tfrecords.write_shard(
            folder / tfrecords.shard_name(split, shard, num_shards),
            (
                schema.serialize_example(
                    images[i],
                    np.flatnonzero(labels[i]).tolist(),
                    crop_id=f"{split}_{i}",
                    group=split,
                )
                for i in range(shard, len(images), num_shards)
            ),
        )
        for shard in range(num_shards)
    )


def made_up_images(number: int, size: int, channels: int, seed: int) -> np.ndarray:
    """Makes images, uint8 [number, size, size, channels], for timing of decoding.

    A bright spot on a dark background with shot noise compresses as cells do.
    """
    generator = np.random.default_rng(seed)
    axis = np.linspace(-1, 1, size)
    distance = np.hypot(axis[:, None], axis)[..., None]
    radius = generator.uniform(0.3, 0.9, [number, 1, 1, channels])
    light = 4 + 90 * np.exp(-((distance / radius) ** 4))
    return generator.poisson(light).astype(np.uint8)
