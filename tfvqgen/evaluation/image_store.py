"""Images that a model has made, kept on disk as shards so that they are made once.

A store is a folder of shards like any other, with ``dataset.json`` once it is whole, so
that whatever reads real crops reads these too: their only split is ``train``.
``request.json`` beside it says what exactly was asked for. A store of another request
is replaced; one that was interrupted goes on after its last whole shard.
"""

# Shapes: N images of H x W pixels and C channels, B of a batch; L labels.

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tfvqgen.data import dataset_info, schema
from tfvqgen.data.dataset_info import DatasetInfo, Shard, SplitInfo
from tfvqgen.data.tfrecords import is_shard_name, shard_name, write_shard
from tfvqgen.errors import UserError
from tfvqgen.evaluation.image_sets import ImageSet, read_batches
from tfvqgen.files import read_json, sha256_of_file, write_json
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import SamplingParameters, Source

SPLIT = "train"
REQUEST = "request.json"
# Batches are the same however often the work was interrupted: a shard has whole ones.
BATCH_SIZE = 32
_SHARD_SIZE = 4 * BATCH_SIZE

_Batches = Callable[[range], Iterator[np.ndarray]]


def store_cells(
    source: Source,
    labels: np.ndarray,
    *,
    seed: int,
    drawing: SamplingParameters,
    folder: str | os.PathLike,
) -> ImageSet:
    """Draws a cell for each row of labels, unless they are stored already.

    Args:
        source: Where cells come from.
        labels: Multi-hot, [N, L]; a row of zeros is unconditional.
        seed: Of the first cell; the next has the next.
        drawing: Temperature, top_p and guidance.
        folder: Where they are kept; another request's cells there are removed.

    Raises:
        UserError: The folder holds something else.
    """
    hot = np.asarray(labels, np.float32)
    seeds = seed + np.arange(len(hot), dtype=np.int64)

    def draw(numbers: range) -> Iterator[np.ndarray]:
        for rows in _parts(numbers):
            cells = source.generate(hot[rows], seeds[rows], *drawing.rows(len(rows)))
            yield np.asarray(cells.image)

    request = {"kind": "generated", "seed": seed, **drawing.to_json()}
    return _store(folder, request, source.model_info, labels, draw, "generated cells")


def store_reconstructions(
    generator: Generator, originals: ImageSet, *, folder: str | os.PathLike
) -> ImageSet:
    """Reconstructs real crops, unless their reconstructions are stored already.

    Args:
        generator: The models.
        originals: The crops.
        folder: Where reconstructions are kept, in the crops' order.
    """

    def reconstruct(numbers: range) -> Iterator[np.ndarray]:
        chosen = originals.numbers[numbers.start : numbers.stop]
        for batch in read_batches(originals.split, chosen, None, BATCH_SIZE):
            yield generator.reconstruct(batch["image"]).numpy()

    request = {
        "kind": "reconstructions",
        "split": originals.split.name,
        "crops": _digest(originals.numbers),
    }
    return _store(
        folder,
        request,
        generator.model_info,
        originals.labels,
        reconstruct,
        f"reconstructions of {originals.split.name} crops",
    )


def store_chosen(
    images: ImageSet, about: ModelInfo, *, folder: str | os.PathLike
) -> ImageSet:
    """Copies some images of a store to one of their own, unless they are there already.

    Args:
        images: They.
        about: Describes the model that made them.
        folder: Where the copies are kept, in the same order.
    """

    def read(numbers: range) -> Iterator[np.ndarray]:
        chosen = images.numbers[numbers.start : numbers.stop]
        for batch in read_batches(images.split, chosen, None, BATCH_SIZE):
            yield batch["image"].numpy()

    request = {
        "kind": "chosen",
        "of": images.split.dataset_info.provenance["made_by_a_model"],
        "images": _digest(images.numbers),
    }
    return _store(folder, request, about, images.labels, read, "chosen images")


def _store(
    folder: str | os.PathLike,
    request: Mapping[str, Any],
    about: ModelInfo,
    labels: np.ndarray,
    make: _Batches,
    what: str,
) -> ImageSet:
    """Makes those shards of a request that are not there yet.

    Args:
        folder: Where they are kept.
        request: What tells this request from others, besides model and labels.
        about: Describes the model.
        labels: Multi-hot, [N, L].
        make: From the numbers of a shard to its images, batch by batch.
        what: What the progress bar says.
    """
    folder = Path(folder)
    labels = np.asarray(labels) > 0
    request = {
        **request,
        "model": about.id,
        "number": len(labels),
        "labels": hashlib.sha256(np.packbits(labels).tobytes()).hexdigest(),
    }
    _prepare(folder, request)
    bounds = [*range(0, len(labels), _SHARD_SIZE), len(labels)]
    shards = []
    with tqdm(desc=what, total=len(labels), unit="cell") as progress:
        for index, first in enumerate(bounds[:-1]):
            numbers = range(first, bounds[index + 1])
            path = folder / shard_name(SPLIT, index, len(bounds) - 1)
            if path.exists():
                shards.append(_described(path, len(numbers)))
                progress.update(len(numbers))
                continue
            records = _records(make(numbers), labels, numbers, progress)
            shards.append(write_shard(path, records))
    dataset_info.write_info(folder, _info(about, labels, shards, request))
    split = schema.open_dataset(folder).split(SPLIT)
    return ImageSet(split, np.arange(len(labels), dtype=np.int64), labels)


def _prepare(folder: Path, request: Mapping[str, Any]) -> None:
    """Leaves in the folder only what belongs to the request.

    Raises:
        UserError: It has what no store has, and so may be somebody's own.
    """
    path = folder / REQUEST
    folder.mkdir(parents=True, exist_ok=True)
    names = [x.name for x in folder.iterdir() if not x.name.startswith(".")]
    shards = [name for name in names if is_shard_name(name, (SPLIT,))]
    ours = {REQUEST, dataset_info.FILE_NAME, *shards} if REQUEST in names else set()
    if others := sorted(set(names) - ours):
        raise UserError(
            "the folder holds something else: expected a new one, or what the same "
            f"command left. Received: {folder} with {others[0]}"
        )
    if names and read_json(path) == request:
        return
    # The old request stays until the shards are gone that would be taken for the new.
    for name in set(names) - {REQUEST}:
        (folder / name).unlink()
    write_json(path, request)


def _records(
    batches: Iterator[np.ndarray], labels: np.ndarray, numbers: range, progress: tqdm
) -> Iterator[bytes]:
    waiting = iter(numbers)
    for batch in batches:
        for image, number in zip(batch, waiting, strict=False):
            name = f"cell{number:06d}"
            yield schema.serialize_example(
                image,
                np.flatnonzero(labels[number]).tolist(),
                crop_id=name,
                group=name,
            )
            progress.update()


def _described(path: Path, number: int) -> Shard:
    """Returns the description of a shard that is there."""
    return Shard(
        path=path.name,
        bytes=path.stat().st_size,
        num_examples=number,
        sha256=sha256_of_file(path),
    )


def _info(
    about: ModelInfo,
    labels: np.ndarray,
    shards: Sequence[Shard],
    request: Mapping[str, Any],
) -> DatasetInfo:
    counts = dict(zip(about.labels, labels.sum(axis=0).tolist(), strict=True))
    return DatasetInfo(
        image_shape=about.image_shape,
        dtype=about.dtype,
        channels=about.channels,
        display=about.display,
        pixel_size=about.pixel_size,
        labels=about.labels,
        label_policy="multi_hot",
        credit=f"Made by model {about.id}, not observed. Trained on: {about.credit}",
        splits={SPLIT: SplitInfo(len(labels), counts, len(labels), tuple(shards))},
        provenance={"made_by_a_model": dict(request)},
    )


def _digest(numbers: np.ndarray) -> str:
    return hashlib.sha256(np.asarray(numbers, "<i8").tobytes()).hexdigest()


def _parts(numbers: range) -> Iterator[range]:
    for first in range(numbers.start, numbers.stop, BATCH_SIZE):
        yield range(first, min(first + BATCH_SIZE, numbers.stop))
