"""Features of crops on disk: ``features.npy``, and ``features.json`` that explains it.

Both lie beside ``crops.csv``. Shapes: [N, F] N crops, F features.

The numbers alone would fit any table of as many rows. So ``features.json`` names every
row's crop, with the hash of the image that it was computed from, and holds the hash of
the numbers themselves, the network's and its settings: what was decided by looking at
features can be refused where any of them has changed.
"""

import dataclasses
import hashlib
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfvqgen.data.crops import CropFolder
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, sha256_of_file, whole_file, write_json

ARRAY = "features.npy"
ABOUT = "features.json"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Features:
    """Features as read from disk.

    Attributes:
        values: float32 [N, F], all of them finite.
        crop_ids: The N rows' crops.
        crops: Hex sha256 of the images that they were computed from.
        model: What computed them: the hash of a network's weights, or a name.
        config: What it was told, as kept in ``features.json``.
        sha256: Hex sha256 of the whole of ``features.npy``.
    """

    values: np.ndarray
    crop_ids: tuple[str, ...]
    crops: tuple[str, ...]
    model: str
    config: Mapping[str, Any]
    sha256: str


def write_features(
    folder: str | os.PathLike,
    batches: Iterable[np.ndarray],
    *,
    crop_ids: Sequence[str],
    crops: Sequence[str],
    model: str,
    config: Mapping[str, Any],
) -> str:
    """Writes features as they come, so that only one batch is in memory.

    ``features.json`` comes last. Where a run ends between the two files, the old one
    does not fit the new numbers and :func:`read_features` refuses them.

    Args:
        folder: Where ``crops.csv`` is.
        batches: Arrays [n, F] whose rows are the crops in order.
        crop_ids: The crops' ids.
        crops: Hex sha256 of the crops' images.
        model: What computes them, e.g. the hash of a network's weights.
        config: What it was told; anything that JSON takes.

    Returns:
        The hex sha256 of ``features.npy``.

    Raises:
        UserError: The rows are not as many as the crops, or not all finite; nothing is
            left behind.
    """
    about = {
        "format": FORMAT,
        "model": model,
        "config": dict(config),
        "sha256": "0" * 64,
        "crop_ids": list(crop_ids),
        "crops": list(crops),
    }
    _check_about("the features", about)
    folder = Path(folder)
    with whole_file(folder / ARRAY) as file:
        about["sha256"] = _write_array(file, batches, crop_ids)
    write_json(folder / ABOUT, about)
    return about["sha256"]


def read_features(folder: str | os.PathLike) -> Features:
    """Reads what :func:`write_features` wrote.

    Raises:
        DataError: A file is missing, damaged, or not of the other's run.
    """
    folder = Path(folder)
    if not (folder / ABOUT).is_file():
        raise DataError(
            f"the crops have no features: expected {ABOUT}, which `python -m data_prep "
            f"embed --crops {folder}` writes. Received: {folder} without it"
        )
    about = read_json(folder / ABOUT)
    _check_about(str(folder / ABOUT), about)
    path = folder / ARRAY
    if not path.is_file():
        raise DataError(
            f"the crops' features are gone: expected {ARRAY} beside {ABOUT}; compute "
            f"them again with `python -m data_prep embed`. Received: no {path}"
        )
    if (found := sha256_of_file(path)) != about["sha256"]:
        raise DataError(
            f"features that {ABOUT} does not describe: expected {path} with the sha256 "
            f"{about['sha256']}; compute them again. Received: sha256 {found}"
        )
    return Features(
        values=_read_array(path, len(about["crop_ids"])),
        crop_ids=tuple(about["crop_ids"]),
        crops=tuple(about["crops"]),
        model=about["model"],
        config=about["config"],
        sha256=about["sha256"],
    )


def require_current(features: Features, folder: CropFolder) -> None:
    """Refuses features of other crops than the table lists.

    The order may differ; a crop of which the table does not know the image's hash
    counts by its id.

    Raises:
        DataError: A crop was added, removed, or its image changed since.
    """
    hashes = dict(zip(features.crop_ids, features.crops, strict=True))
    wrong = [
        crop.crop_id
        for crop in folder.rows
        if crop.crop_id not in hashes or crop.sha256 not in ("", hashes[crop.crop_id])
    ]
    listed = {crop.crop_id for crop in folder.rows}
    wrong += [crop_id for crop_id in features.crop_ids if crop_id not in listed]
    if wrong:
        raise DataError(
            "the features are not of these crops: expected those of "
            f"{folder.folder} as they are; compute them again. Received: "
            f"{len(wrong)} crops that were added, removed or changed since, the first "
            f"of them {wrong[0]!r}"
        )


def _write_array(
    file: BinaryIO, batches: Iterable[np.ndarray], crop_ids: Sequence[str]
) -> str:
    """Writes the bytes of ``features.npy``; returns their hash."""
    digest = hashlib.sha256()
    written = num_features = 0
    for batch in batches:
        batch = np.ascontiguousarray(batch, "<f4")
        if not written:
            num_features = batch.shape[1]
            shape = len(crop_ids), num_features
            _write_hashed(file, digest, _header(shape))
        names = crop_ids[written : written + len(batch)]
        if batch.shape != (len(names), num_features):
            raise UserError(
                f"wrong features: expected {len(crop_ids)} rows of {num_features}. "
                f"Received: {list(batch.shape)} after {written} rows"
            )
        finite = np.isfinite(batch).all(axis=1)
        if not finite.all():
            raise UserError(
                "features that are not finite: expected numbers. Received: those of "
                f"crop {names[int(np.argmin(finite))]!r}"
            )
        _write_hashed(file, digest, batch.tobytes())
        written += len(batch)
    if written != len(crop_ids):
        raise UserError(
            f"features are missing: expected {len(crop_ids)} rows. Received: {written}"
        )
    return digest.hexdigest()


def _header(shape: tuple[int, int]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": shape}
    )
    return header.getvalue()


def _write_hashed(file: BinaryIO, digest, data: bytes) -> None:
    file.write(data)
    digest.update(data)


def _read_array(path: Path, num_crops: int) -> np.ndarray:
    try:
        # Neither unpickles nor unzips, as numpy.load might, nor makes room for more
        # than there is.
        values = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:
        # The header is a Python expression: what it may raise has no end.
        raise DataError(
            "damaged features: expected an array of numbers. "
            f"Received: {path} ({type(error).__name__})"
        ) from None
    if values.dtype != np.float32 or values.ndim != 2 or len(values) != num_crops:
        raise DataError(
            f"wrong features: expected float32 numbers of {num_crops} crops. "
            f"Received: {path} with {values.dtype} {list(values.shape)}"
        )
    if not np.isfinite(values).all():
        raise DataError(
            f"features that are not finite: expected numbers. Received: {path}"
        )
    return np.array(values)


def _check_about(where: str, about: object) -> None:
    def refuse(expected: str, received: object) -> None:
        raise DataError(f"wrong {where}: expected {expected}. Received: {received}")

    if not isinstance(about, dict):
        refuse("an object", f"{about!r:.60}")
    if about.get("format") != FORMAT:
        refuse(f"format {FORMAT}", about.get("format"))
    for name, kind in (("model", str), ("config", dict), ("sha256", str)):
        if not isinstance(about.get(name), kind):
            refuse(f"{name!r}", f"{about.get(name)!r:.60}")
    ids, hashes = about.get("crop_ids"), about.get("crops")
    if not _is_texts(ids) or not ids or len(set(ids)) != len(ids):
        refuse("crop_ids to be different names", _start(ids))
    if not _is_texts(hashes) or len(hashes) != len(ids):
        refuse("a hash for each of crop_ids", _start(hashes))
    wrong = [text for text in hashes if not re.fullmatch("[0-9a-f]{64}", text)]
    if wrong:
        refuse("crops to be 64 hexadecimal digits each", wrong[0])


def _start(value: object) -> object:
    return value[:3] if isinstance(value, list) else value


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)
