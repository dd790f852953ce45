"""The cells that the page shows: kept for a while, seen as pictures, downloaded."""

# Shapes: [H, W, C] height, width, channels.

import dataclasses
import io
import secrets
import tempfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfvqgen.data.crops import SAMPLES_TABLE, Crop, image_name, write_crops
from tfvqgen.data.images import composite, encode_png, write_image
from tfvqgen.errors import UserError
from tfvqgen.generation.model_info import ModelInfo

MOST_BYTES = 256 * 2**20
COMPOSITE = "composite"


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """A cell that the page shows.

    Attributes:
        name: Its files' name.
        image: uint8 or uint16 [H, W, C].
        labels: What it was asked for.
        group: Cells that are alike have the same.
        text: Said within its files; without it they cannot be had.
        columns: Said of it in the table.
    """

    name: str
    image: np.ndarray
    labels: tuple[str, ...] = ()
    group: str = ""
    text: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)


class NoSuchCell(UserError):
    """A cell that is not kept, or not any more."""


class Cells:
    """The last cells, up to so many bytes.

    Args:
        most_bytes: Of all images together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES):
        self._cells: OrderedDict[str, Cell] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()

    def add(self, cell: Cell) -> str:
        """Keeps a cell, and forgets old ones if need be; returns its id."""
        key = secrets.token_hex(8)
        with self._lock:
            self._cells[key] = cell
            self._bytes += cell.image.nbytes
            while self._bytes > self._most_bytes and len(self._cells) > 1:
                _, oldest = self._cells.popitem(last=False)
                self._bytes -= oldest.image.nbytes
        return key

    def get(self, key: object) -> Cell:
        """Returns a cell.

        Raises:
            NoSuchCell: It is not kept.
        """
        with self._lock:
            cell = self._cells.get(key) if isinstance(key, str) else None
        if cell is None:
            raise NoSuchCell(
                "the cell is not kept any more: expected one of the last ones; make "
                f"it again. Received: {str(key)[:40]!r}"
            )
        return cell


def picture(
    cell: Cell, about: ModelInfo, view: str, gain: Sequence[float] | None = None
) -> bytes:
    """Returns what the page shows of a cell, a PNG of 8 bits.

    Args:
        cell: The cell.
        about: The model.
        view: COMPOSITE, or a channel's index.
        gain: Brightens each channel for the eye.
    """
    image = cell.image
    if gain is not None:
        largest = np.iinfo(image.dtype).max
        image = np.clip(np.round(image * np.asarray(gain)), 0, largest)
        image = image.astype(cell.image.dtype)
    if view == COMPOSITE:
        return encode_png(composite(image, about.display_channels), cell.text)
    shown = composite(image, [int(view)] * 3)
    return encode_png(shown[..., :1], cell.text)


def download(cell: Cell, about: ModelInfo) -> tuple[str, bytes]:
    """Returns a cell's file without loss, and its name: a PNG, a zip if need be."""
    if "{" in image_name(cell.name, len(about.channels)):
        return f"{cell.name}.zip", zipped([cell], about)
    return f"{cell.name}.png", encode_png(_made(cell).image, cell.text)


def zipped(cells: Sequence[Cell], about: ModelInfo) -> bytes:
    """Returns a zip of cells: a folder as ``sample`` writes it, without its sheet."""
    unique: dict[str, Cell] = {}
    for cell in map(_made, cells):
        name, count = cell.name, 1
        while name in unique:
            count += 1
            name = f"{cell.name}-{count}"
        unique[name] = cell
    buffer = io.BytesIO()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name in ("images", "composites"):
            (folder / name).mkdir()
        rows = [_write(folder, name, cell, about) for name, cell in unique.items()]
        write_crops(
            folder,
            rows,
            channels=about.channels,
            dtype=about.dtype,
            credit=about.credit,
            table=SAMPLES_TABLE,
        )
        with zipfile.ZipFile(buffer, "w") as file:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    file.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _made(cell: Cell) -> Cell:
    if not cell.text:
        raise UserError(
            "not a generated cell: expected one that the model made. "
            f"Received: {cell.name}"
        )
    return cell


def _write(folder: Path, name: str, cell: Cell, about: ModelInfo) -> Crop:
    """Writes a cell's files; returns its row of the table."""
    path = image_name(name, len(about.channels))
    digest = write_image(folder / path, cell.image, about.channels, cell.text)
    shown = composite(cell.image, about.display_channels)
    write_image(folder / "composites" / f"{name}.png", shown, text=cell.text)
    return Crop(
        crop_id=name,
        path=path,
        labels=cell.labels,
        group=cell.group,
        size=about.image_shape[0],
        pixel_size=about.pixel_size,
        metadata=cell.columns,
        sha256=digest,
    )
