"""Comparison of segmented nuclei with the ground truth of a synthetic field.

Shapes: [H, W] rows and columns of a field, N segmented nuclei.
"""

import numpy as np

from data_prep.segmentation.nuclei import NucleusSettings
from data_prep.synthetic.scene import Defect, SyntheticField, fade
from data_prep.synthetic.wells import CHANNELS, Well

SAME = 0.5  # Intersection over union.
SPOILED, GOOD = 0.1, 0.01  # Shares of a cell; five times as much for blurred nuclei.
BRIGHTER = 64  # Smallest number of grey levels that debris adds.


def compare(labels: np.ndarray, nuclei: np.ndarray, pixel_size: float) -> dict:
    """Counts found, false and missed nuclei.

    Nuclei that the border cuts to less than the smallest area are ignored.
    """
    ratio = overlap(labels, nuclei)
    smallest = NucleusSettings().smallest_area / pixel_size**2
    areas = np.bincount(nuclei.ravel(), minlength=ratio.shape[1] + 1)[1:]
    whole = areas >= smallest
    same = ratio > SAME
    return {
        "found": int(same[:, whole].sum()),
        "false": int((~same.any(1)).sum()),
        "missed": int((whole & ~same.any(0)).sum()),
    }


def overlap(labels: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Returns [N, M] intersection over union of N found and M true nuclei."""
    n, m = int(labels.max(initial=0)), int(nuclei.max(initial=0))
    pair = labels.astype(np.int64) * (m + 1) + nuclei
    both = np.bincount(pair.ravel(), minlength=(n + 1) * (m + 1)).reshape(n + 1, m + 1)
    either = both.sum(1)[1:, None] + both.sum(0)[None, 1:] - both[1:, 1:]
    return both[1:, 1:] / np.maximum(either, 1)


def states(
    labels: np.ndarray,
    field: SyntheticField,
    clean: SyntheticField,
    well: Well,
    crop_size: int,
) -> list[str]:
    """Classifies the cell of each segmented nucleus.

    Args:
        labels: Segmented nuclei, int32 [H, W].
        field: Field with defects of one kind.
        clean: The same field without defects.
        well: The field's well.
        crop_size: Pixels; cells whose crop leaves the field are ``cut``.

    Returns:
        ``spoiled``, ``good``, ``between`` or ``cut`` for label 1 to N.
    """
    nuclei, cells = field.scene.nuclei, field.scene.cells
    ratio = overlap(labels, nuclei)
    cut = _cut(labels, crop_size)
    damage = _damage(field, clean, well)
    found = []
    for i in range(len(ratio)):
        own = int(ratio[i].argmax()) + 1 if ratio.shape[1] else 0
        if cut[i]:
            found.append("cut")
        elif not own or ratio[i, own - 1] == 0:
            found.append("spoiled")
        else:
            share = damage(nuclei == own, cells == own)
            matched = ratio[i, own - 1] > SAME
            if share > SPOILED:
                found.append("spoiled")
            else:
                found.append("good" if share < GOOD and matched else "between")
    return found


def _cut(labels: np.ndarray, crop_size: int) -> list[bool]:
    from data_prep.cropping.cutting import centres, crop_corners

    corners = crop_corners(centres(labels), crop_size)
    inside = (corners >= 0) & (corners + crop_size <= labels.shape)
    return (~inside.all(1)).tolist()


def _damage(field: SyntheticField, clean: SyntheticField, well: Well):
    """Returns a function from nucleus and cell masks to the spoiled share."""
    kind = field.defects[0].kind if field.defects else None
    if kind == "blur":
        blurred = fade(field.scene.nuclei.shape, field.defects[0])
        return lambda nucleus, cell: blurred[nucleus].mean() / 5
    if kind == "saturation":
        defect = field.defects[0]
        return lambda nucleus, cell: _light_lost(clean, defect, well, cell)
    if kind == "debris":
        added = field.scene.image.astype(int) - clean.scene.image
        covered = (added >= BRIGHTER).any(-1)
        return lambda nucleus, cell: covered[cell].mean()
    return lambda nucleus, cell: 0.0


def _light_lost(
    clean: SyntheticField, defect: Defect, well: Well, cell: np.ndarray
) -> float:
    """Returns the share of light lost to clipping in the worst channel."""
    worst = 0.0
    for name in defect.channels:
        channel = CHANNELS.index(name)
        dark = 255 * well.background[channel]
        light = clean.scene.image[..., channel][cell].astype(float) - dark
        light = np.maximum(light, 0) * defect.strength
        lost = np.maximum(light + dark - 255, 0).sum()
        worst = max(worst, lost / max(light.sum(), 1))
    return worst
