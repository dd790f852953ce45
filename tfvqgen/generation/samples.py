"""Drawing cells for labels and seeds, and the folder that they are written to.

The folder has

* ``images/``: every channel of every cell, without loss;
* ``composites/``: what people look at, 8 bits in the display colours;
* ``samples.csv`` and ``samples.json``: a table as that of crops, which ``python -m
  data_prep shard`` reads;
* ``samples.png``: a sheet with a row of cells a label, then their protein alone;
* ``request.json``: what was asked for, of which model.

Every image says within its file that it is generated, by which model, for which label
and from which seed.
"""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tfvqgen.data.crop import Crop
from tfvqgen.data.crops import SAMPLES_TABLE, image_name, write_crops
from tfvqgen.data.images import (
    channel_paths,
    composite,
    read_image,
    write_image,
)
from tfvqgen.data.sheets import brightening, sheet_of_rows, shown
from tfvqgen.errors import UserError
from tfvqgen.files import exclusive, read_json, write_json
from tfvqgen.generation.about import About
from tfvqgen.generation.request import Request, Sample, set_name
from tfvqgen.generation.source import Source

SHEET = "samples.png"
REQUEST = "request.json"
_SHOWN_PER_LABEL = 6


def write_samples(
    source: Source,
    request: Request,
    folder: str | os.PathLike,
    batch_size: int = 16,
    overwrite: bool = False,
) -> Path:
    """Draws the cells of a request into a folder.

    Cells that an interrupted run has written are not drawn again.

    Args:
        source: Where the cells come from.
        request: What is asked for.
        folder: Made if need be; may only have what the same request left.
        batch_size: Cells drawn at a time.
        overwrite: Whether another request's cells in the folder are removed.

    Returns:
        The sheet's path.

    Raises:
        UserError: The folder has something else, or another run writes to it.
    """
    with exclusive(folder, "the folder"):
        samples = _Folder(Path(folder), source.about, request)
        samples.claim(overwrite)
        missing = [x for x in samples.samples if not samples.has(x)]
        done = len(samples.samples) - len(missing)
        total = len(samples.samples)
        with tqdm(desc="cells", total=total, initial=done, unit="cell") as progress:
            for start in range(0, len(missing), batch_size):
                some = missing[start : start + batch_size]
                for sample, image in zip(
                    some, _draw(source, request, some), strict=True
                ):
                    samples.add(sample, image)
                progress.update(len(some))
        return samples.finish()


def _draw(source: Source, request: Request, samples: Sequence[Sample]) -> np.ndarray:
    """Returns the images of some samples, uint8 or uint16 [N, H, W, C]."""
    vocabulary = source.about.labels
    labels = np.zeros([len(samples), len(vocabulary)], np.float32)
    for row, sample in zip(labels, samples, strict=True):
        row[[vocabulary.index(label) for label in sample.labels]] = 1

    def all_rows(value):
        return np.full(len(samples), value, np.float32)

    cells = source.generate(
        labels,
        np.array([sample.seed for sample in samples], np.int64),
        all_rows(request.temperature),
        all_rows(request.top_p),
        all_rows(request.guidance),
    )
    return np.asarray(cells.image)


class _Folder:
    """The folder of a request's samples."""

    def __init__(self, path: Path, about: About, request: Request):
        self._path, self._about, self._request = path, about, request
        self.samples = request.samples(about.labels)

    def claim(self, overwrite: bool) -> None:
        """Makes sure that the folder is this request's."""
        path = self._path / REQUEST
        request = {"model": self._about.id, **dataclasses.asdict(self._request)}
        request["label_sets"] = [list(x) for x in self._request.label_sets]
        others = [x.name for x in self._path.iterdir() if not x.name.startswith(".")]
        if not others:
            write_json(path, request)
        elif not path.exists():
            raise UserError(
                "the folder is not empty: expected a new one, or one of the same "
                f"request. Received: {self._path} with {min(others)}"
            )
        elif (found := read_json(path)) != request:
            found = found if isinstance(found, dict) else {}
            wrong = [x for x in request if found.get(x) != request[x]]
            if not overwrite:
                raise UserError(
                    "the folder holds cells of another request: expected a new folder, "
                    f"or --overwrite. Received: {self._path}, which differs in "
                    f"{', '.join(wrong)}"
                )
            self._remove_cells()
            write_json(path, request)
        for name in ("images", "composites"):
            (self._path / name).mkdir(exist_ok=True)

    def _remove_cells(self) -> None:
        # The table goes first: without it the rest is an interrupted run's.
        for name in (SAMPLES_TABLE, SHEET, REQUEST):
            (self._path / name).unlink(missing_ok=True)
        for name in ("images", "composites"):
            shutil.rmtree(self._path / name, ignore_errors=True)

    def has(self, sample: Sample) -> bool:
        """Whether a cell's files are there."""
        return self._composite(sample).exists() and all(
            path.exists() for path in self._files(sample)
        )

    def add(self, sample: Sample, image: np.ndarray) -> None:
        """Writes a cell's files."""
        text = self._text(sample)
        write_image(self._path / self._image(sample), image, self._about.channels, text)
        picture = composite(image, self._about.display_channels)
        write_image(self._composite(sample), picture, text=text)

    def finish(self) -> Path:
        """Writes the sheet and then the table; returns the sheet's path."""
        sheet = self._path / SHEET
        write_image(sheet, self._sheet(), text=self._text())
        write_crops(
            self._path,
            [self._row(sample) for sample in self.samples],
            channels=self._about.channels,
            dtype=self._about.dtype,
            credit=self._about.credit,
            table=SAMPLES_TABLE,
        )
        return sheet

    def _image(self, sample: Sample) -> str:
        return image_name(sample.name, len(self._about.channels))

    def _files(self, sample: Sample) -> list[Path]:
        return channel_paths(self._path / self._image(sample), self._about.channels)

    def _composite(self, sample: Sample) -> Path:
        return self._path / "composites" / f"{sample.name}.png"

    def _row(self, sample: Sample) -> Crop:
        digest = hashlib.sha256()
        for path in self._files(sample):
            digest.update(path.read_bytes())
        request = self._request
        return Crop(
            crop_id=sample.name,
            path=self._image(sample),
            labels=sample.labels,
            # Cells of one seed are alike.
            group=f"seed{sample.seed}",
            size=self._about.image_shape[0],
            pixel_size=self._about.pixel_size,
            metadata={
                "generated": "true",
                "model": self._about.id,
                "seed": str(sample.seed),
                "temperature": str(request.temperature),
                "top_p": str(request.top_p),
                "guidance": str(request.guidance),
            },
            sha256=digest.hexdigest(),
        )

    def _text(self, sample: Sample | None = None) -> dict[str, str]:
        """Returns what is said within an image's file."""
        request = self._request
        sets = [sample.labels] if sample else request.label_sets
        last = request.seed + request.num_per_label - 1
        return {
            "Description": "Generated by a model; not a picture of a real cell.",
            "Software": "tfvqgen",
            "Model": self._about.id,
            "Labels": ", ".join(set_name(labels) for labels in sets),
            "Seed": str(sample.seed) if sample else f"{request.seed} to {last}",
            "Temperature": str(request.temperature),
            "Top-p": str(request.top_p),
            "Guidance": str(request.guidance),
            "Credit": f"Trained on: {self._about.credit or 'not said'}",
        }

    def _sheet(self) -> np.ndarray:
        """Returns the first cells of each set of labels, all brightened alike.

        The composites come first, then the protein (what is shown green) alone.
        """
        images: dict[tuple[str, ...], list[np.ndarray]] = {}
        largest = np.iinfo(self._about.dtype).max
        for sample in self.samples:
            some = images.setdefault(sample.labels, [])
            if len(some) < _SHOWN_PER_LABEL:
                path = self._path / self._image(sample)
                some.append(read_image(path, self._about.channels) / largest)
        gain = brightening(np.stack([x for some in images.values() for x in some]))
        display = self._about.display_channels
        views = [display]
        if len(set(display)) > 1 and display[1] is not None:
            views.append((display[1],) * 3)
        rows = []
        for labels, some in images.items():
            tiles = [
                tile for view in views for tile in shown(np.stack(some), view, gain)
            ]
            rows.append((set_name(labels), tiles))
        return sheet_of_rows(rows)
