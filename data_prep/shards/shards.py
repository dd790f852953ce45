"""Writes crops, [H, W, C], as TFRecord shards."""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep import processes
from data_prep.fields import Field, FieldFolder
from data_prep.images.field_images import read_field, whole_png
from data_prep.shards import plan
from data_prep.shards.plan import Plan, Record, ShardOptions
from tfvqgen.data import dataset_info, images, schema
from tfvqgen.data.crops import Crop, CropFolder, CropsInfo
from tfvqgen.data.dataset_info import FILE_NAME, DatasetInfo, Shard, SplitInfo
from tfvqgen.data.tfrecords import is_shard_name, shard_name, write_shard
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import LOCK, blamed_on, exclusive

_PARTIAL = ".partial"


class StoredImage(NamedTuple):
    """An image: its pixels [H, W, C], its path, and the PNG that stores it, if any."""

    pixels: np.ndarray
    path: str
    png: bytes | None


@dataclasses.dataclass(frozen=True)
class CropSource(CropsInfo):
    """Crops to be written, from a table of crops or from a layout."""

    rows: list[Crop]
    # Reads the image of a crop; threads may call it at the same time.
    read: Callable[[Crop], StoredImage]


def source_of_table(folder: CropFolder) -> CropSource:
    """Returns the crops of a folder with ``crops.csv``."""

    def read(crop: Crop) -> StoredImage:
        path = folder.image_path(crop)
        files = images.read_image_bytes(path, folder.channels)
        digest = hashlib.sha256(b"".join(files)).hexdigest() if crop.sha256 else ""
        if digest != crop.sha256:
            raise DataError(
                "an image differs from its table: expected the sha256 in crops.csv. "
                f"Received: {path}"
            )
        pixels = images.decode_files(path, files)
        return StoredImage(pixels, str(path), files[0] if len(files) == 1 else None)

    return _source(folder, folder.dtype, folder.rows, read)


def source_of_layout(folder: FieldFolder) -> CropSource:
    """Returns ready-made crops, each of which is a field of a layout."""
    fields = {field.field_id: field for field in folder.fields}

    def first_path(field: Field) -> Path:
        return next(iter(field.planes.values())).path

    def read(crop: Crop) -> StoredImage:
        field = fields[crop.crop_id]
        return StoredImage(read_field(field), str(first_path(field)), whole_png(field))

    rows = [
        Crop(
            crop_id=field.field_id,
            path=first_path(field).relative_to(folder.folder).as_posix(),
            labels=field.labels,
            group=field.group,
            pixel_size=field.pixel_size,
            metadata=field.metadata,
        )
        for field in folder.fields
    ]
    return _source(folder, read_field(folder.fields[0]).dtype.name, rows, read)


def _source(folder, dtype: str, rows: list[Crop], read: Callable) -> CropSource:
    ordered = folder.labels_ordered
    return CropSource(folder.channels, dtype, ordered, folder.credit, rows, read)


def write_dataset(
    source: CropSource,
    output: str | os.PathLike,
    options: ShardOptions,
    *,
    overwrite: bool = False,
    num_threads: int | None = None,
) -> tuple[DatasetInfo, Plan]:
    """Writes the shards of crops and then their ``dataset.json``.

    Equal crops and options give equal files, byte by byte, for any order of the table
    and any number of threads.

    Args:
        source: The crops.
        output: A folder that is new or empty.
        options: The choices of the user.
        overwrite: Whether existing shards in `output` may be replaced.
        num_threads: Number of threads that encode. Defaults to the number of cores.

    Raises:
        UserError: `output` has other contents, or the crops differ in form.
    """
    made = plan.plan_records(source.rows, source.labels_ordered, options)
    by_split = plan.split_records(made.records, options)
    # The first crop in the order of names, not of the table.
    first = min((record.crop for record in made.records), key=lambda crop: crop.crop_id)
    shape, pixel_size = _form(source, first, options.size)
    info = DatasetInfo(
        image_shape=shape,
        dtype=source.dtype,
        channels=source.channels,
        display=dataset_info.default_display(source.channels),
        pixel_size=pixel_size,
        labels=made.vocabulary.labels,
        label_policy=options.label_policy,
        credit=source.credit,
        splits={},
        provenance={
            "vocabulary": Path(options.vocabulary.name).name,
            "min_count": options.min_count,
            "splits": dict(options.splits),
            "seed": options.seed,
            "left_out": dict(sorted(made.left_out.items())),
            "outside_vocabulary": dict(sorted(made.outside.items())),
        },
    )
    encode = functools.partial(_encoded, source, first, info, options.size)
    threads = num_threads or processes.num_cores()
    with _output_folder(Path(output), overwrite) as (partial, commit):
        with tqdm(total=len(made.records), unit="crop", desc="shards") as progress:
            for split, records in by_split.items():
                encoded = _in_order(encode, records, threads)
                shards = _write_shards(
                    partial, split, encoded, len(records), options.num_shards, progress
                )
                info.splits[split] = _split_info(records, info.labels, shards)
        commit(info)
    return info, made


def _form(
    source: CropSource, first: Crop, size: int | None
) -> tuple[tuple[int, int, int], float | None]:
    """Returns the shape and the pixel size of a crop's record."""
    image, path, _ = source.read(first)
    height, width, _ = image.shape
    if size is not None and (height != width or not 1 <= size <= height):
        raise UserError(
            "wrong size: expected at most the side of square crops. "
            f"Received: size={size} for {path} of {height} x {width}"
        )
    shape = (size or height, size or width, len(source.channels))
    return shape, _pixel_size(first, height, size)


def _pixel_size(crop: Crop, side: int, size: int | None) -> float | None:
    """Returns the micrometres per pixel of a crop's record, if known."""
    scale = side / size if size else 1.0
    return crop.pixel_size and round(crop.pixel_size * scale, 9)


def _encoded(
    source: CropSource, first: Crop, info: DatasetInfo, size: int | None, record: Record
) -> bytes:
    crop = record.crop
    image, path, png = source.read(crop)
    one, other = info.pixel_size, _pixel_size(crop, len(image), size)
    if size:
        image = _reduce(image, size)
    if image.shape != info.image_shape or image.dtype.name != info.dtype:
        raise DataError(
            f"an image differs from the others: expected {info.dtype} "
            f"{list(info.image_shape)}; --size makes sides alike. "
            f"Received: {image.dtype.name} {list(image.shape)} in {path}"
        )
    if (one is None) != (other is None) or (one and abs(other / one - 1) > 0.01):
        raise UserError(
            "crops of different scales: expected one pixel_size of all records. "
            f"Received: {one} in {first.crop_id}, {other} in {crop.crop_id}"
        )
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


def _reduce(image: np.ndarray, size: int) -> np.ndarray:
    """Downsamples [H, W, C] to [size, size, C] by area averaging."""
    if image.shape[0] != image.shape[1] or image.shape[0] <= size:
        return image
    with tf.device("CPU"):
        reduced = tf.image.resize(image, [size, size], method="area").numpy()
    return np.rint(reduced).astype(image.dtype)


def _in_order(
    function: Callable[[Record], bytes], items: Iterable[Record], threads: int
) -> Iterator[bytes]:
    """Maps in threads, in order, with only a few results in memory."""
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
    folder: Path, split: str, encoded: Iterator, size: int, num_shards: int, progress
) -> tuple[Shard, ...]:
    num_shards = max(1, min(num_shards, size))
    bounds = np.linspace(0, size, num_shards + 1).astype(int)

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


@contextlib.contextmanager
def _output_folder(
    output: Path, overwrite: bool
) -> Iterator[tuple[Path, Callable[[DatasetInfo], None]]]:
    """Yields a folder for unfinished shards and a function that moves them to `output`.

    The function removes the old ``dataset.json`` first and writes the new one last, so
    that it never exists without its shards. Until then `output` is not changed.
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
            dataset_info.write_info(output, info)

        try:
            yield partial, commit
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _old_files(output: Path, overwrite: bool) -> list[Path]:
    present = [p for p in output.glob("*") if p.name not in (_PARTIAL, LOCK)]
    ours = [
        p
        for p in present
        if p.name == FILE_NAME or is_shard_name(p.name, dataset_info.SPLITS)
    ]
    if len(ours) < len([p for p in present if p.suffix != ".png"]):
        raise UserError(
            "the folder has other contents: expected a new or empty one. "
            f"Received: {output}"
        )
    # A run that was killed while it moved shards left them without dataset.json.
    if ours and (output / FILE_NAME).exists() and not overwrite:
        raise UserError(
            "there are shards already: expected a new or empty folder, or --overwrite "
            f"to replace them. Received: {output}"
        )
    return ours
