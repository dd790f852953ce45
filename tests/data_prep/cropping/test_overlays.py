"""Overlays show nuclei and crops where they are; sheets have the right rows."""

import dataclasses

import numpy as np
import pytest

from data_prep.cropping import field_crops, overlays
from data_prep.cropping.overlays import ACCEPTED_COLOUR, CONTOUR_COLOUR, REJECTED_COLOUR
from tests import support
from tests.data_prep import drawn_fields
from tfvqgen.data import crops, images
from tfvqgen.data.crops import Crop


def cropped_field(side):
    """Returns a dark field with two nuclei, one accepted and one rejected crop."""
    nuclei = np.zeros((side, side), np.int32)
    nuclei[20:30, 20:30], nuclei[60:70, 60:70] = 1, 2
    return field_crops.CroppedField(
        image=np.zeros((side, side, 4), np.uint8),
        nuclei=nuclei,
        owners=None,
        corners=[(10, 10), (50, 50)],
        crops=[
            Crop("f-001", "images/f-001.png", (), "f", size=30, accepted=True),
            Crop("f-002", "images/f-002.png", (), "f", size=60, accepted=False),
        ],
    )


@pytest.mark.parametrize("side", [100, 1200])
def test_boxes_and_contours_are_where_the_nuclei_are(side):
    cropped = cropped_field(side)
    image = overlays.overlay(cropped, cropped.crops, drawn_fields.CHANNELS)
    zoom = image.shape[0] // side
    assert image.shape == (side * zoom, side * zoom, 3)
    assert min(image.shape[:2]) >= 1000
    # The lower left corner of a box: the number is in the upper left.
    assert tuple(image[40 * zoom - 1, 10 * zoom]) == ACCEPTED_COLOUR
    assert tuple(image[90 * zoom, 50 * zoom]) == REJECTED_COLOUR
    # The outermost pixels of the nucleus.
    assert tuple(image[25 * zoom, 20 * zoom]) == CONTOUR_COLOUR
    assert tuple(image[25 * zoom, 30 * zoom]) == (0, 0, 0)


def test_sheets_have_a_row_for_each_label_and_for_each_reason(tmp_path, monkeypatch):
    labels = [["a"], ["a", "b"], [], ["c"]]
    support.make_crops(tmp_path, labels, shape=(8, 8, 4))
    rows = crops.read_crops(tmp_path).rows
    reason = "too dim (focus 1 < 2); too far"
    rows[3] = dataclasses.replace(rows[3], accepted=False, reason=reason)
    drawn = []

    def noted(lines):
        drawn.append({name: len(images) for name, images in lines})
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(overlays, "sheet_of_rows", noted)
    overlays.write_sheets(tmp_path, rows, support.CHANNELS[:4])
    assert drawn == [
        {"a (2)": 2, "b (1)": 1, "(unknown) (1)": 1},
        {"too dim (1)": 1, "too far (1)": 1},
    ]


def test_overlays_are_drawn_of_evenly_spaced_fields(fields, finished, copy_of):
    output = copy_of(finished)
    drawn_fields.crop(fields, output, num_overlays=2)
    drawn = sorted(path.stem for path in (output / "overlays").iterdir())
    assert drawn == ["f0", "f1", "f2"]
    assert images.read_image(output / "overlays" / "f2.png").shape[-1] == 3
