"""The files of the review page: its data, its thumbnails and the page itself.

A page that is opened as a file may load scripts and images but no data. Therefore the
data are scripts: ``data.js``, which the page needs to start, and ``names.js``, which is
loaded later. Crops are ordered by cluster, then by distance to the cluster's centre.

Thumbnails are tiles of JPEG sheets. A sheet is named by the hash of its contents, so
that an interrupted run continues and a browser never shows an old sheet.
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data_prep import processes
from data_prep.screening import suggestions
from data_prep.screening.decisions import Stamp
from tfvqgen.data import sheets
from tfvqgen.data.crops import Crop, CropFolder
from tfvqgen.data.dataset_info import default_display, display_indices
from tfvqgen.data.images import read_image
from tfvqgen.files import whole_file

PAGE = "index.html"
TILE = 64
TILES_A_SIDE = 32
PER_SHEET = TILES_A_SIDE**2
_JPEG_QUALITY = 80
# Number of crops from which the brightness of thumbnails is computed.
_SAMPLE = 128
_SOURCES = Path(__file__).parent / "page"
_MISSING = 255
# Bit after those of the kinds of suggestions: crops.csv does not accept the crop.
_REFUSED = 128
# Quantiles at which the colours of a quality column end, in spite of outliers.
_LOW, _HIGH = 0.01, 0.99


@dataclasses.dataclass(frozen=True)
class Shown:
    """The contents of the page: N crops in order of their clusters."""

    crops: Sequence[Crop]
    hashes: Sequence[str]  # Hex sha256 of their images.
    positions: np.ndarray  # Positions on the map, float32 [N, 2].
    clusters: np.ndarray  # Numbers of their clusters, int32 [N].
    suggested: suggestions.Suggestions
    stamp: Stamp
    credit: str  # Licence and source line.


def write_page(output: Path, shown: Shown, sheets: Sequence[str]) -> Path:
    """Writes the page, whose subfolder ``sprites`` has the sheets; returns its path."""
    _write_script(output / "data.js", "DATA", _page_data(shown, sheets))
    _write_script(output / "names.js", "NAMES", page_names(shown))
    # The page itself comes last: it needs the others.
    for source in sorted(_SOURCES.iterdir(), key=lambda path: path.name == PAGE):
        with whole_file(output / source.name) as file:
            file.write(source.read_bytes())
    return output / PAGE


def _page_data(shown: Shown, sheets: Sequence[str]) -> dict:
    """Returns the contents of data.js."""
    labels = sorted({label for crop in shown.crops for label in crop.labels})
    sets = [tuple(labels.index(label) for label in crop.labels) for crop in shown.crops]
    combinations = sorted(set(sets))
    of_set = {labels: index for index, labels in enumerate(combinations)}
    places = map_pixels(shown.positions)
    weights = 1 << np.arange(len(suggestions.KINDS))
    refused = np.array([not crop.accepted for crop in shown.crops])
    return {
        "review": "-".join(dataclasses.astuple(shown.stamp)),
        "stamp": dataclasses.asdict(shown.stamp),
        "credit": shown.credit,
        "num_crops": len(shown.crops),
        "num_groups": len({crop.group for crop in shown.crops}),
        "starts": [0, *np.cumsum(np.bincount(shown.clusters)).tolist()],
        "suggested_clusters": sorted(shown.suggested.clusters),
        "labels": labels,
        "combinations": combinations,
        "x": _encoded(places[:, 0], "<u2"),
        "y": _encoded(places[:, 1], "<u2"),
        "combination": _encoded([of_set[each] for each in sets], "<u2"),
        "kinds": _encoded(shown.suggested.kinds @ weights + _REFUSED * refused, "u1"),
        "columns": _columns(shown.crops),
        "tile": TILE,
        "tiles_a_side": TILES_A_SIDE,
        "sheets": list(sheets),
    }


def page_names(shown: Shown) -> dict:
    """Returns the contents of names.js: texts and hashes of every crop."""
    groups, group = np.unique([c.group for c in shown.crops], return_inverse=True)
    reasons, reason = np.unique(shown.suggested.reasons, return_inverse=True)
    hashes = bytes.fromhex("".join(shown.hashes))
    return {
        "crop_ids": "\n".join(crop.crop_id for crop in shown.crops),
        "groups": groups.tolist(),
        "group": _encoded(group, "<u4"),
        "reasons": reasons.tolist(),
        "reason": _encoded(reason, "<u4"),
        "hashes": base64.b64encode(hashes).decode(),
    }


def map_pixels(positions: np.ndarray) -> np.ndarray:
    """Returns positions [N, 2] as integers from 0 to 65535 with y downwards.

    Both axes have the same scale. The outermost thousandth of the crops is moved to the
    border; otherwise a single distant crop would shrink the map to a dot.
    """
    low, high = np.quantile(positions, [0.0005, 0.9995], axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2 * 1.02, 1e-9)
    unit = (positions - middle) / (2 * half) * [1, -1] + 0.5
    return np.round(np.clip(unit, 0, 1) * 65535).astype(np.uint16)


def _encoded(values, dtype: str) -> str:
    """Returns numbers as base64 of their bytes."""
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()


def _columns(crops: Sequence[Crop]) -> list[dict]:
    """Returns the quality columns, scaled to 0 to 254; 255 is a missing number."""
    found = []
    for name in suggestions.QUALITY_COLUMNS:
        values = suggestions.column(crops, name)
        known = np.isfinite(values)
        if not known.any():
            continue
        low, high = np.quantile(values[known], [_LOW, _HIGH]).tolist()
        with np.errstate(invalid="ignore"):
            unit = np.clip((values - low) / max(high - low, 1e-12), 0, 1)
        steps = np.where(known, np.nan_to_num(unit) * 254, _MISSING).round()
        steps = _encoded(steps, "u1")
        found.append({"name": name, "low": low, "high": high, "values": steps})
    return found


def _write_script(path: Path, name: str, value: dict) -> None:
    # JSON escapes line separators; </script> does not end a script file.
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    with whole_file(path, "w") as file:
        file.write(f'"use strict";\nconst {name} = {text};\n')


class Thumbnails:
    """Makes thumbnails of crops, all brightened by the same factors."""

    def __init__(self, folder: CropFolder):
        self._folder = folder
        shown = default_display(folder.channels)
        self._display = display_indices(shown, folder.channels)
        step = max(1, len(folder.rows) // _SAMPLE)
        num = len(folder.channels)
        sample = [self._unit(crop).reshape(-1, num) for crop in folder.rows[::step]]
        self.gain = sheets.brightening(np.concatenate(sample))

    def __call__(self, crop: Crop) -> np.ndarray:
        """Returns the thumbnail of a crop, uint8 [TILE, TILE, 3]; margins are black."""
        values = sheets.shown(self._unit(crop), self._display, self.gain)
        image = Image.fromarray(values)
        scale = TILE / max(image.size)
        size = [max(1, round(side * scale)) for side in image.size]
        how = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
        tile = Image.new("RGB", (TILE, TILE))
        tile.paste(image.resize(size, how), [(TILE - side) // 2 for side in size])
        return np.asarray(tile)

    def _unit(self, crop: Crop) -> np.ndarray:
        image = read_image(self._folder.image_path(crop), self._folder.channels)
        return image.astype(np.float32) / np.iinfo(image.dtype).max


def write_sheets(
    output: Path, folder: CropFolder, crops: Sequence[Crop], hashes: Sequence[str]
) -> list[str]:
    """Writes the sheets of crops in their order, and removes other sheets.

    `hashes` are those of the crops' images. Returns the sheets' file names in order.
    """
    output.mkdir(parents=True, exist_ok=True)
    thumbnails = Thumbnails(folder)
    names = []
    with (
        ThreadPoolExecutor(processes.num_cores()) as pool,
        tqdm(total=len(crops), unit="crop", desc="thumbnails") as progress,
    ):
        for start in range(0, len(crops), PER_SHEET):
            part = slice(start, start + PER_SHEET)
            about = [*hashes[part], thumbnails.gain.tolist(), TILE, TILES_A_SIDE]
            key = hashlib.sha256(repr(about).encode()).hexdigest()
            names.append(f"{key[:16]}.jpg")
            if not (output / names[-1]).exists():
                sheet = Image.fromarray(_sheet(pool.map(thumbnails, crops[part])))
                with whole_file(output / names[-1]) as file:
                    sheet.save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
            progress.update(len(crops[part]))
    for path in output.glob("*.jpg"):
        if path.name not in names:
            path.unlink()
    return names


def _sheet(tiles: Iterable[np.ndarray]) -> np.ndarray:
    """Arranges tiles in rows, uint8 [rows * TILE, TILES_A_SIDE * TILE, 3]."""
    tiles, side = list(tiles), TILES_A_SIDE
    sheet = np.zeros((-(-len(tiles) // side) * TILE, side * TILE, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // side * TILE, number % side * TILE
        sheet[top : top + TILE, left : left + TILE] = tile
    return sheet
