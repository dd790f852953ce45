"""Crops -> shards: encodes the planned records and writes them."""

import collections
import contextlib
import dataclasses
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep import processes
from data_prep.shards.crop_source import CropSource
from data_prep.shards.record_plan import (
    Plan,
    Record,
    ShardOptions,
    plan_records,
    split_records,
)
from tfvqgen.data import schema
from tfvqgen.data.crops import Crop
from tfvqgen.data.dataset_info import (
    FILE_NAME,
    SPLITS,
    DatasetInfo,
    Shard,
    SplitInfo,
    default_display,
    write_info,
)
from tfvqgen.data.tfrecords import is_shard_name, shard_name, write_shard
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import LOCK, blamed_on, exclusive

_PARTIAL = ".partial"


def write_dataset(
    source: CropSource,
    output: str | os.PathLike,
    options: ShardOptions,
    *,
    overwrite: bool = False,
    num_threads: int | None = None,
) -> tuple[DatasetInfo, Plan]:
    """Writes the shards of crops and then their ``dataset.json``.

    Equal crops and options give equal files, byte by byte, whatever the order of the
    table and the number of threads.

    Args:
        source: The crops.
        output: A folder that is new or empty.
        options: What to make of them.
        overwrite: Whether shards that are already in `output` may be replaced.
        num_threads: How many encode at once; by default one a core.

    Raises:
        UserError: `output` holds something else or another run writes to it, or the
            crops do not fit together.
    """
    plan = plan_records(source, options)
    by_split = split_records(plan.records, options)
    # Whatever the table's order.
    first = min((record.crop for record in plan.records), key=lambda crop: crop.crop_id)
    info = _description(source, first, plan, options)
    encoder = _Encoder(source, first, info, options.size)
    threads = num_threads or processes.num_cores()
    with _output_folder(Path(output), overwrite) as (partial, commit):
        splits = {}
        with tqdm(total=len(plan.records), unit="crop", desc="shards") as progress:
            for split, records in by_split.items():
                encoded = _in_order(encoder, records, threads)
                shards = _write_shards(
                    partial, split, encoded, len(records), options.num_shards, progress
                )
                splits[split] = _split_info(records, plan.vocabulary.labels, shards)
        info = dataclasses.replace(info, splits=splits)
        commit(info)
    return info, plan


def _description(
    source: CropSource, first: Crop, plan: Plan, options: ShardOptions
) -> DatasetInfo:
    """Returns the contents of ``dataset.json`` but for the splits."""
    shape, pixel_size = _form(source, first, options.size)
    return DatasetInfo(
        image_shape=shape,
        dtype=source.dtype,
        channels=source.channels,
        display=default_display(source.channels),
        pixel_size=pixel_size,
        labels=plan.vocabulary.labels,
        label_policy=options.label_policy,
        credit=source.credit,
        splits={},
        provenance=_provenance(plan, options),
    )


def _form(
    source: CropSource, first: Crop, size: int | None
) -> tuple[tuple[int, int, int], float | None]:
    """Returns the shape of a crop's record and its pixels' size in micrometres."""
    image, path, _ = source.read(first)
    height, width, _ = image.shape
    if size is not None and (height != width or not 1 <= size <= height):
        raise UserError(
            f"size does not fit: expected at most the side of square crops. "
            f"Received: size={size} for {path} of {height} x {width}"
        )
    shape = (size or height, size or width, len(source.channels))
    return shape, _pixel_size(first, height, size)


def _pixel_size(crop: Crop, side: int, size: int | None) -> float | None:
    """Returns the micrometres a pixel of a crop's record, if they are known."""
    scale = side / size if size else 1.0
    return crop.pixel_size and round(crop.pixel_size * scale, 9)


class _Encoder:
    """Turns a crop on disk into the bytes of a record."""

    def __init__(
        self, source: CropSource, first: Crop, info: DatasetInfo, size: int | None
    ):
        self._source, self._first, self._info, self._size = source, first, info, size

    def __call__(self, record: Record) -> bytes:
        crop, info = record.crop, self._info
        image, path, png = self._source.read(crop)
        pixel_size = _pixel_size(crop, len(image), self._size)
        if self._size:
            image = _reduce(image, self._size)
        if image.shape != info.image_shape or image.dtype.name != info.dtype:
            raise DataError(
                f"an image does not fit the others: expected {info.dtype} "
                f"{list(info.image_shape)}; --size makes sides alike. "
                f"Received: {image.dtype.name} {list(image.shape)} in {path}"
            )
        self._check_scale(crop, pixel_size)
        plain = png and schema.is_plain_png(png, info.image_shape, info.dtype)
        return schema.serialize_example(
            image,
            record.class_ids,
            crop_id=crop.crop_id,
            group=crop.group,
            field=crop.field,
            metadata=crop.metadata,
            png=png if plain else None,
        )

    def _check_scale(self, crop: Crop, other: float | None) -> None:
        one = self._info.pixel_size
        if (one is None) != (other is None) or (one and abs(other / one - 1) > 0.01):
            raise UserError(
                "crops of different scales: expected one pixel_size of all records. "
                f"Received: {one} in {self._first.crop_id}, {other} in {crop.crop_id}"
            )


def _reduce(image: np.ndarray, size: int) -> np.ndarray:
    """Reduces [H, W, C] to [size, size, C] by the mean over the area of each pixel."""
    if image.shape[0] != image.shape[1] or image.shape[0] <= size:
        return image
    with tf.device("CPU"):
        reduced = tf.image.resize(image, [size, size], method="area").numpy()
    return np.rint(reduced).astype(image.dtype)


def _in_order(
    function: Callable[[Record], bytes], items: Iterable[Record], threads: int
) -> Iterator[bytes]:
    """Maps in threads, keeping the order and only a few results in memory."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: collections.deque = collections.deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 8 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _write_shards(
    folder: Path,
    split: str,
    encoded: Iterator[bytes],
    num_records: int,
    num_shards: int,
    progress: tqdm,
) -> tuple[Shard, ...]:
    num_shards = max(1, min(num_shards, num_records))
    bounds = np.linspace(0, num_records, num_shards + 1).astype(int)

    def take(count: int) -> Iterator[bytes]:
        for _ in range(count):
            yield next(encoded)
            progress.update()

    with contextlib.closing(encoded):
        return tuple(
            write_shard(folder / shard_name(split, index, num_shards), take(count))
            for index, count in enumerate(np.diff(bounds).tolist())
        )


def _split_info(
    records: Sequence[Record], names: Sequence[str], shards: tuple[Shard, ...]
) -> SplitInfo:
    counts = collections.Counter(i for record in records for i in record.class_ids)
    return SplitInfo(
        num_examples=len(records),
        label_counts={name: counts[index] for index, name in enumerate(names)},
        num_groups=len({record.crop.group for record in records}),
        shards=shards,
    )


def _provenance(plan: Plan, options: ShardOptions) -> dict[str, object]:
    return {
        "vocabulary": Path(options.vocabulary.name).name,
        "min_count": options.min_count,
        "splits": dict(options.splits),
        "seed": options.seed,
        "left_out": dict(sorted(plan.left_out.items())),
        "outside_vocabulary": dict(sorted(plan.outside.items())),
    }


@contextlib.contextmanager
def _output_folder(
    output: Path, overwrite: bool
) -> Iterator[tuple[Path, Callable[[DatasetInfo], None]]]:
    """Yields a folder for unfinished shards and what moves them to `output`.

    ``dataset.json`` is removed first and written last, so that there never is one
    without its shards; whatever happens before, `output` is as it was.
    """
    partial = output / _PARTIAL
    with exclusive(output, "the folder for shards"), blamed_on(output, partial):
        old = _old_files(output, overwrite)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()

        def commit(info: DatasetInfo) -> None:
            for path in sorted(old, key=lambda path: path.name != FILE_NAME):
                path.unlink()
            for path in sorted(partial.iterdir()):
                path.replace(output / path.name)
            write_info(output, info)

        try:
            yield partial, commit
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _old_files(output: Path, overwrite: bool) -> list[Path]:
    present = [p for p in output.glob("*") if p.name not in (_PARTIAL, LOCK)]
    ours = [p for p in present if p.name == FILE_NAME or is_shard_name(p.name, SPLITS)]
    # Shards without dataset.json were left by a run that was killed while moving them.
    unfinished = not (output / FILE_NAME).exists()
    if len(ours) < len([p for p in present if p.suffix != ".png"]):
        raise UserError(
            f"the folder holds something else: expected a new or empty one. "
            f"Received: {output}"
        )
    if ours and not unfinished and not overwrite:
        raise UserError(
            "there are shards already: expected a new or empty folder, or --overwrite "
            f"to replace them. Received: {output}"
        )
    return ours
