"""Quality columns of every cell of a field, and the reasons not to take one.

Legend: [H, W, C] rows, columns and channels of a field, N nuclei.

================  =====================================================================
inside_field      share of the crop's pixels that lie in the field
touches_border    1 if the nucleus reaches the field's border, else 0
nucleus_area      square micrometres; 0 for a cell without a nucleus
solidity          the nucleus's area over that of its convex hull
eccentricity      of the ellipse of the same second moments: 0 a disk, 1 a line
focus             sharpness of the nucleus channel: variance of its Laplacian (of a
                  Gaussian, normalised by scale) over its variance, around the nucleus
saturated         share of the cell's pixels at the type's limit, in the worst channel
protein_signal    mean of the protein in the cell above the field's background, of full
                  scale
crowding          share of the crop's pixels that belong to other nuclei
================  =====================================================================

The cell is the given one, or else what lies within `CELL_REACH` of the nucleus and is
nearer to it than to any other.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

COLUMNS = (
    "inside_field",
    "touches_border",
    "nucleus_area",
    "solidity",
    "eccentricity",
    "focus",
    "saturated",
    "protein_signal",
    "crowding",
)
CELL_REACH = 6.4  # Micrometres.


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What a cell must be to be accepted; None takes a limit away.

    Attributes:
        exempt_labels: Labels of fields whose cells divide, so that the limits on the
            nucleus's area, solidity and eccentricity do not count.
    """

    least_inside_field: float | None = 1.0
    border_allowed: bool = False
    least_nucleus_area: float | None = 40.0
    most_nucleus_area: float | None = 500.0
    least_solidity: float | None = 0.9
    most_eccentricity: float | None = 0.9
    least_focus: float | None = 0.0
    most_saturated: float | None = 0.05
    least_protein_signal: float | None = 0.004
    most_crowding: float | None = 0.5
    exempt_labels: tuple[str, ...] = (
        "Mitotic spindle",
        "Mitotic chromosome",
        "Cytokinetic bridge",
        "Cleavage furrow",
        "Kinetochore",
        "Midbody",
        "Midbody ring",
    )


def measure(
    field: np.ndarray,
    nuclei: np.ndarray,
    pixel_size: float,
    crop_size: int,
    *,
    nucleus: int,
    protein: int | None = None,
    cells: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """Measures every nucleus of a field, all at once.

    Args:
        field: uint8 or uint16 [H, W, C] as it was recorded (reduced, not stretched).
        nuclei: int32 labels [H, W].
        pixel_size: Micrometres a pixel.
        crop_size: Pixels of the side of the crops that will be cut.
        nucleus: Which channel shows nuclei.
        protein: Which channel shows the protein; None: there is none, and no column
            `protein_signal`.
        cells: int32 labels [H, W] whose numbers are those of `nuclei`.

    Returns:
        For label 1, 2, ..., N: the columns by name, in the order of `COLUMNS`. They are
        rounded to 5 digits, so that a table says exactly what was judged. Shape and
        focus of a cell without a nucleus are nan.
    """
    raise NotImplementedError


def reasons(
    columns: Mapping[str, float],
    labels: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),
) -> list[str]:
    """Returns why a cell is not accepted, in words; empty: it is.

    Args:
        columns: What `measure` returned for it; a column that is missing is not judged.
        labels: The names of its localizations.
        thresholds: The limits.
    """
    raise NotImplementedError
