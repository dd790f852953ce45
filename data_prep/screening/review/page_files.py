"""The files of the review page: what is shown as JavaScript, and the page itself.

A page that is opened as a file may load scripts and pictures but no data, and so the
data are scripts: ``data.js`` that the page needs to start, ``names.js`` that may come a
moment later. Crops stand in the order of their clusters, nearest to the centre first.
"""

import base64
import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.screening import suggestions
from data_prep.screening.decisions import Stamp
from data_prep.screening.review import sprites
from tfvqgen.data.crops import Crop
from tfvqgen.files import whole_file

PAGE = "index.html"
_SOURCES = Path(__file__).parent / "page"
_MISSING = 255
# Beside the bits of the kinds of suggestions: crops.csv does not accept the crop.
_REFUSED = 128
# A quality column's colours end at these quantiles, so that a stray does not decide.
_LOW, _HIGH = 0.01, 0.99


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page shows of N crops.

    Attributes:
        crops: The crops.
        hashes: Hex sha256 of their images.
        positions: float32 [N, 2] on the map.
        clusters: int32 [N].
        suggested: What is suspicious.
        stamp: What decisions carry.
        credit: Licence and source line.
    """

    crops: Sequence[Crop]
    hashes: Sequence[str]
    positions: np.ndarray
    clusters: np.ndarray
    suggested: suggestions.Suggestions
    stamp: Stamp
    credit: str

    def reordered(self, order: np.ndarray) -> "Shown":
        """Returns the same crops in another order."""
        found = self.suggested
        return dataclasses.replace(
            self,
            crops=[self.crops[i] for i in order],
            hashes=[self.hashes[i] for i in order],
            positions=self.positions[order],
            clusters=self.clusters[order],
            suggested=dataclasses.replace(
                found,
                kinds=found.kinds[order],
                reasons=tuple(found.reasons[i] for i in order),
            ),
        )


def write_page(output: Path, shown: Shown, sheets: Sequence[str]) -> Path:
    """Writes the page; returns its path.

    Args:
        output: The folder, in which ``sprites`` has the sheets.
        shown: The crops, cluster by cluster.
        sheets: The sheets' names.
    """
    names = sorted({label for crop in shown.crops for label in crop.labels})
    _write_script(output / "data.js", "DATA", page_data(shown, names, sheets))
    _write_script(output / "names.js", "NAMES", page_names(shown))
    for source in sorted(_SOURCES.iterdir(), key=lambda path: path.name == PAGE):
        if source.is_file():
            with whole_file(output / source.name) as file, open(source, "rb") as page:
                shutil.copyfileobj(page, file)
    return output / PAGE


def page_data(shown: Shown, labels: Sequence[str], sheets: Sequence[str]) -> dict:
    """Returns what the page starts with."""
    number = {label: index for index, label in enumerate(labels)}
    sets = [tuple(number[label] for label in crop.labels) for crop in shown.crops]
    combinations = sorted(set(sets))
    of_set = {labels: index for index, labels in enumerate(combinations)}
    places = map_pixels(shown.positions)
    counts = np.bincount(shown.clusters)
    weights = 1 << np.arange(len(suggestions.KINDS))
    refused = np.array([not crop.accepted for crop in shown.crops])
    return {
        "review": "-".join(dataclasses.astuple(shown.stamp)),
        "stamp": dataclasses.asdict(shown.stamp),
        "credit": shown.credit,
        "num_crops": len(shown.crops),
        "num_groups": len({crop.group for crop in shown.crops}),
        "starts": [0, *np.cumsum(counts).tolist()],
        "suggested_clusters": sorted(shown.suggested.clusters),
        "labels": list(labels),
        "combinations": combinations,
        "x": encoded(places[:, 0], "<u2"),
        "y": encoded(places[:, 1], "<u2"),
        "combination": encoded([of_set[labels] for labels in sets], "<u2"),
        "kinds": encoded(shown.suggested.kinds @ weights + _REFUSED * refused, "u1"),
        "columns": _columns(shown.crops),
        "tile": sprites.TILE,
        "tiles_a_side": sprites.TILES_A_SIDE,
        "sheets": list(sheets),
    }


def page_names(shown: Shown) -> dict:
    """Returns the texts and hashes of every crop."""
    groups, group = np.unique([c.group for c in shown.crops], return_inverse=True)
    reasons, reason = np.unique(shown.suggested.reasons, return_inverse=True)
    hashes = bytes.fromhex("".join(shown.hashes))
    return {
        "crop_ids": "\n".join(crop.crop_id for crop in shown.crops),
        "groups": groups.tolist(),
        "group": encoded(group, "<u4"),
        "reasons": reasons.tolist(),
        "reason": encoded(reason, "<u4"),
        "hashes": base64.b64encode(hashes).decode(),
    }


def map_pixels(positions: np.ndarray) -> np.ndarray:
    """Returns places [N, 2] as whole numbers 0 to 65535, y downwards, one scale.

    The outermost thousandth is moved to the border: single crops far away would make
    all others a dot.
    """
    low, high = np.quantile(positions, [0.0005, 0.9995], axis=0)
    middle, half = (low + high) / 2, max(float((high - low).max()) / 2 * 1.02, 1e-9)
    unit = (positions - middle) / (2 * half) * [1, -1] + 0.5
    return np.round(np.clip(unit, 0, 1) * 65535).astype(np.uint16)


def encoded(values, dtype: str) -> str:
    """Returns numbers as base64 of their bytes."""
    return base64.b64encode(np.asarray(values).astype(dtype).tobytes()).decode()


def _columns(crops: Sequence[Crop]) -> list[dict]:
    """Returns the quality columns, 0 to 254 between their ends; 255: no number."""
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
        column = {"name": name, "low": low, "high": high}
        found.append({**column, "values": encoded(steps, "u1")})
    return found


def _write_script(path: Path, name: str, value: dict) -> None:
    # A text may have </script> or a line separator in it; neither ends this script.
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    with whole_file(path, "w") as file:
        file.write(f'"use strict";\nconst {name} = {text};\n')
