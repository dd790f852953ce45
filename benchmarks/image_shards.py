"""Shards of artificial images for the benchmarks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfvqgen.data import dataset_info, schema, tfrecords


def write(
    folder: Path, splits: Mapping[str, np.ndarray], num_shards: int = 4
) -> schema.Dataset:
    """Writes images, uint8 [N, H, W, C] by split, as shards and opens them.

    All images have the same label.
    """
    folder.mkdir(parents=True, exist_ok=True)
    infos = {
        split: dataset_info.SplitInfo(
            num_examples=len(images),
            label_counts={"0": len(images)},
            num_groups=1,
            shards=_write_split(folder, split, images, num_shards),
        )
        for split, images in splits.items()
    }
    image_shape = next(iter(splits.values())).shape[1:]
    channels = tuple(f"channel_{i}" for i in range(image_shape[-1]))
    info = dataset_info.DatasetInfo(
        image_shape=image_shape,
        dtype="uint8",
        channels=channels,
        display=dataset_info.default_display(channels),
        pixel_size=None,
        labels=("0",),
        label_policy="multi_hot",
        credit="",
        splits=infos,
    )
    dataset_info.write_info(folder, info)
    return schema.open_dataset(folder)


def _write_split(
    folder: Path, split: str, images: np.ndarray, num_shards: int
) -> tuple[tfrecords.Shard, ...]:
    """Writes every `num_shards`-th image into the same shard."""
    return tuple(
        tfrecords.write_shard(
            folder / tfrecords.shard_name(split, shard, num_shards),
            (
                schema.serialize_example(
                    images[i], [0], crop_id=f"{split}_{i}", group=split
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
