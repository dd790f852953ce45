"""Features of crops on disk: ``features.npy``, described by ``features.json``.

Both files lie beside ``crops.csv``. ``features.json`` holds the id of each row's crop,
the hash of the image that the row was computed from, the network with its settings, and
the hash of ``features.npy``. Decisions that were made by looking at the features can be
refused after any of these has changed.
"""

# Shapes: N crops, F features.

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfvqgen.data.crops import CropFolder
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, sha256_of_file, whole_file, write_json
from tfvqgen.validation import check, key, read, require

ARRAY = "features.npy"
DESCRIPTION = "features.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class _Description:
    """The contents of ``features.json``."""

    format: int = key(choices=(FORMAT,))
    model: str
    config: Mapping[str, Any]
    sha256: str
    crop_ids: tuple[str, ...] = key(unique=True)
    crops: tuple[str, ...]

    def __post_init__(self):
        check(self)
        same = len(self.crops) == len(self.crop_ids)
        require(same, "crops", "as many as crop_ids", len(self.crops))


@dataclasses.dataclass(frozen=True)
class Features:
    """Features as read from disk."""

    values: np.ndarray  # Float32 [N, F], all finite.
    crop_ids: tuple[str, ...]  # The ids of the N crops.
    crops: tuple[str, ...]  # Hex sha256 of the images that they were computed from.
    model: str  # The hash of the weights of the network, or a name.
    config: Mapping[str, Any]  # Settings of the network.
    sha256: str  # Hex sha256 of features.npy.


def write_features(
    folder: str | os.PathLike,
    values: np.ndarray,
    *,
    crop_ids: Sequence[str],
    crops: Sequence[str],
    model: str,
    config: Mapping[str, Any],
) -> str:
    """Writes the attributes of :class:`Features` beside ``crops.csv``.

    If a run ends between the two files, the old description does not fit the new
    features, and :func:`read_features` refuses them.

    Returns the hex sha256 of ``features.npy``.

    Raises:
        UserError: The features of a crop are not finite.
    """
    values = np.asarray(values, np.float32)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise UserError(
            "the features are not finite: expected finite numbers. Received: those of "
            f"crop {crop_ids[int(np.argmin(finite))]!r}"
        )
    folder = Path(folder)
    with whole_file(folder / ARRAY) as file:
        np.save(file, values, allow_pickle=False)
    digest = sha256_of_file(folder / ARRAY)
    stored = _Description(FORMAT, model, config, digest, tuple(crop_ids), tuple(crops))
    write_json(folder / DESCRIPTION, dataclasses.asdict(stored))
    return digest


def read_features(folder: str | os.PathLike) -> Features:
    """Reads the files that :func:`write_features` wrote.

    Raises:
        DataError: A file is missing or damaged, or the two are of different runs.
    """
    description, path = Path(folder) / DESCRIPTION, Path(folder) / ARRAY
    for file in (description, path):
        if not file.is_file():
            raise DataError(
                f"the crops have no features: expected {file.name}, which `python -m "
                f"data_prep embed --crops {folder}` writes. Received: no {file}"
            )
    stored = read(_Description, read_json(description), description)
    if (found := sha256_of_file(path)) != stored.sha256:
        raise DataError(
            f"{DESCRIPTION} does not describe the features: expected {path} with the "
            f"sha256 {stored.sha256}; compute them again. Received: sha256 {found}"
        )
    try:
        values = np.load(path, allow_pickle=False)
        valid = values.dtype == np.float32 and values.ndim == 2
        valid = valid and len(values) == len(stored.crop_ids)
        valid = valid and np.isfinite(values).all()
    except (ValueError, AttributeError):
        valid = False
    if not valid:
        raise DataError(
            "damaged features: expected an array of finite float32 numbers with a row "
            f"for each crop. Received: {path}"
        )
    fields = [field.name for field in dataclasses.fields(Features)][1:]
    return Features(values, **{name: getattr(stored, name) for name in fields})


def require_current(features: Features, folder: CropFolder) -> None:
    """Refuses features of other crops than the table lists, in any order.

    Raises:
        DataError: A crop was added or removed, or its image was changed.
    """
    hashes = dict(zip(features.crop_ids, features.crops, strict=True))
    # The table may lack the hash of an image.
    wrong = [
        crop.crop_id
        for crop in folder.rows
        if crop.crop_id not in hashes or crop.sha256 not in ("", hashes[crop.crop_id])
    ]
    listed = {crop.crop_id for crop in folder.rows}
    wrong += [crop_id for crop_id in features.crop_ids if crop_id not in listed]
    if wrong:
        raise DataError(
            "the features do not belong to these crops: expected features of "
            f"{folder.folder} as it is now; compute them again. Received: "
            f"{len(wrong)} crops that were added, removed or changed since, such as "
            f"{wrong[0]!r}"
        )
