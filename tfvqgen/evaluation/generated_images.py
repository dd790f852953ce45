"""Generated images, stored as shards so that they are generated only once.

A store is a folder of shards with ``dataset.json``, which is written last, so that all
code that reads real crops can read it; its only split is ``train``. ``request.json``
says what was requested. A store of another request is replaced, and an interrupted one
continues after its last complete shard.
"""

# Shapes: N images of H x W pixels and C channels, B of a batch; L labels.

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfvqgen.data import dataset_info, schema
from tfvqgen.data.dataset_info import DatasetInfo, Shard, SplitInfo
from tfvqgen.data.tfrecords import is_shard_name, shard_name, write_shard
from tfvqgen.errors import UserError
from tfvqgen.evaluation.image_sets import BATCH_SIZE, ImageSet
from tfvqgen.files import read_json, sha256_of_file, write_json
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import SamplingParameters, Source

SPLIT = "train"
REQUEST = "request.json"
# A shard has a whole number of batches, so that an interruption does not change them.
_SHARD_SIZE = 4 * BATCH_SIZE

_Batches = Callable[[range], Iterator[np.ndarray]]


def store_cells(
    source: Source,
    labels: np.ndarray,
    *,
    seed: int,
    sampling: SamplingParameters,
    folder: str | os.PathLike,
) -> ImageSet:
    """Generates a cell for each row of labels, unless they are stored already.

    Labels are multi-hot, [N, L]; a row of zeros is unconditional. The first cell has
    the seed, the next cell the next seed. Cells of another request are removed.

    Raises:
        UserError: The folder contains other files.
    """
    hot = np.asarray(labels, np.float32)
    seeds = seed + np.arange(len(hot), dtype=np.int64)

    def generate(numbers: range) -> Iterator[np.ndarray]:
        for first in range(numbers.start, numbers.stop, BATCH_SIZE):
            rows = slice(first, min(first + BATCH_SIZE, numbers.stop))
            parameters = sampling.rows(len(hot[rows]))
            yield np.asarray(source.generate(hot[rows], seeds[rows], *parameters).image)

    request = {"kind": "generated", "seed": seed, **sampling.to_json()}
    info = source.model_info
    return _store(folder, request, info, labels, generate, "generated cells")


def store_reconstructions(
    generator: Generator, originals: ImageSet, *, folder: str | os.PathLike
) -> ImageSet:
    """Reconstructs real crops in order, unless this is stored already."""

    def reconstruct(numbers: range) -> Iterator[np.ndarray]:
        for batch in originals.take(numbers).batches():
            yield generator.reconstruct(batch).numpy()

    name, crops = originals.split.name, _digest(originals.numbers)
    request = {"kind": "reconstructions", "split": name, "crops": crops}
    info, labels = generator.model_info, originals.labels
    description = f"reconstructions of {name} crops"
    return _store(folder, request, info, labels, reconstruct, description)


def store_selection(
    images: ImageSet, info: ModelInfo, *, folder: str | os.PathLike
) -> ImageSet:
    """Copies some images of a store to a store of their own, unless they are there."""

    def copy(numbers: range) -> Iterator[np.ndarray]:
        yield from images.take(numbers).batches()

    request = {
        "kind": "chosen",
        "of": images.split.dataset_info.provenance["made_by_a_model"],
        "images": _digest(images.numbers),
    }
    return _store(folder, request, info, images.labels, copy, "selected images")


def _store(
    folder: str | os.PathLike,
    request: Mapping[str, Any],
    info: ModelInfo,
    labels: np.ndarray,
    make: _Batches,
    description: str,
) -> ImageSet:
    """Makes the shards of a request, besides model and labels, that do not exist yet.

    `make` yields the images of a range of numbers in batches.
    """
    folder = Path(folder)
    labels = np.asarray(labels) > 0
    request = {
        **request,
        "model": info.id,
        "number": len(labels),
        "labels": hashlib.sha256(np.packbits(labels).tobytes()).hexdigest(),
    }
    _prepare(folder, request)
    starts = range(0, len(labels), _SHARD_SIZE)
    shards = []
    with tqdm(desc=description, total=len(labels), unit="cell") as progress:
        for index, first in enumerate(starts):
            numbers = range(first, min(first + _SHARD_SIZE, len(labels)))
            path = folder / shard_name(SPLIT, index, len(starts))
            if path.exists():
                size, digest = path.stat().st_size, sha256_of_file(path)
                shards.append(Shard(path.name, size, len(numbers), digest))
                progress.update(len(numbers))
                continue
            records = _records(make(numbers), labels, numbers, progress)
            shards.append(write_shard(path, records))
    counts = dict(zip(info.labels, labels.sum(axis=0).tolist(), strict=True))
    names = ("image_shape", "dtype", "channels", "display", "pixel_size", "labels")
    stored = DatasetInfo(
        **{name: getattr(info, name) for name in names},
        label_policy="multi_hot",
        credit=f"Made by model {info.id}, not observed. Trained on: {info.credit}",
        splits={SPLIT: SplitInfo(len(labels), counts, len(labels), tuple(shards))},
        provenance={"made_by_a_model": dict(request)},
    )
    dataset_info.write_info(folder, stored)
    split = schema.open_dataset(folder).split(SPLIT)
    return ImageSet(split, np.arange(len(labels), dtype=np.int64), labels)


def _prepare(folder: Path, request: Mapping[str, Any]) -> None:
    """Removes the files of another request; raises UserError if there are others."""
    path = folder / REQUEST
    folder.mkdir(parents=True, exist_ok=True)
    names = {x.name for x in folder.iterdir() if not x.name.startswith(".")}
    ours = {name for name in names if is_shard_name(name, (SPLIT,))}
    ours = ours | {REQUEST, dataset_info.FILE_NAME} if REQUEST in names else set()
    if others := sorted(names - ours):
        raise UserError(
            "the folder contains other files: expected a new folder, or one that the "
            f"same command wrote. Received: {folder} with {others[0]}"
        )
    if names and read_json(path) == request:
        return
    # The request is replaced last, or old shards would be taken for new ones.
    for name in names - {REQUEST}:
        (folder / name).unlink()
    write_json(path, request)


def _records(
    batches: Iterator[np.ndarray], labels: np.ndarray, numbers: range, progress: tqdm
) -> Iterator[bytes]:
    images = itertools.chain.from_iterable(batches)
    for number, image in zip(numbers, images, strict=True):
        name, own = f"cell{number:06d}", np.flatnonzero(labels[number]).tolist()
        yield schema.serialize_example(image, own, crop_id=name, group=name)
        progress.update()


def _digest(numbers: np.ndarray) -> str:
    return hashlib.sha256(np.asarray(numbers, "<i8").tobytes()).hexdigest()
