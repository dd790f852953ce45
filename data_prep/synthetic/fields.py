"""Whole synthetic fields of view with true masks and known defects."""

from dataclasses import dataclass

from data_prep.synthetic.cells import cells_of_field
from data_prep.synthetic.defects import Defect, plan_defects, spoil
from data_prep.synthetic.scene import Scene, draw_scene
from data_prep.synthetic.wells import SHADE, UNIT_IN_MICROMETRES, Well

FIELD_SIDE = 512.0  # units that a field shows, whatever its pixels


@dataclass(frozen=True)
class SyntheticField:
    """A field, its defects, and its pixel size in micrometres."""

    scene: Scene
    defects: list[Defect]
    pixel_size: float


def draw_field(well: Well, size: int, defect_share: float = 0.0) -> SyntheticField:
    """Draws one field of a well: a pure function of its arguments.

    Args:
        well: Labels, staining, camera.
        size: Side in pixels: 512 are .32 micrometres a pixel, 2048 are .08.
        defect_share: Probability that the field has defects.
    """
    scale = size / FIELD_SIDE
    defects = plan_defects(well, size, defect_share)
    num_cells = None
    if defects and defects[0].kind == "empty":
        num_cells = int(defects[0].strength)
    vignetting = float(well.rng(SHADE).uniform(0.05, 0.25))
    scene = draw_scene(
        well,
        cells_of_field(well, FIELD_SIDE, num_cells),
        FIELD_SIDE,
        scale,
        vignetting,
        lambda light: spoil(light, defects, well, scale),
    )
    return SyntheticField(scene, defects, UNIT_IN_MICROMETRES / scale)
