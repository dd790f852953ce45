"""Overlays and sheets: what is drawn where."""

import dataclasses

import numpy as np
import pytest

from data_prep.cropping import field_crops, field_results, overlays, pipeline
from data_prep.cropping.cutting import Box
from data_prep.cropping.overlays import ACCEPTED_COLOUR, CONTOUR_COLOUR, REJECTED_COLOUR
from tests import support
from tests.data_prep import drawn_fields
from tests.data_prep.cropping.test_run import SETTINGS
from tfvqgen.data import crops, images
from tfvqgen.data.crops import Crop


def cropped_field(side):
    """Returns a dark field of two nuclei and the rows of their crops."""
    nuclei = np.zeros((side, side), np.int32)
    nuclei[20:30, 20:30], nuclei[60:70, 60:70] = 1, 2
    rows = [
        Crop("f-001", "images/f-001.png", (), "f", accepted=True),
        Crop("f-002", "images/f-002.png", (), "f", accepted=False),
    ]
    return field_crops.CroppedField(
        image=np.zeros((side, side, 4), np.uint8),
        nuclei=nuclei,
        owners=None,
        boxes=[Box(10, 10, 30), Box(50, 50, 60)],
        crops=rows,
    )


@pytest.mark.parametrize("side", [100, 1200])
def test_boxes_and_contours_are_where_the_nuclei_are(side):
    cropped = cropped_field(side)
    picture = overlays.overlay(cropped, cropped.crops, drawn_fields.CHANNELS)
    zoom = picture.shape[0] // side
    assert picture.shape == (side * zoom, side * zoom, 3)
    assert min(picture.shape[:2]) >= 1000
    # Its lower left corner: the upper one has the number beside it.
    assert tuple(picture[40 * zoom - 1, 10 * zoom]) == ACCEPTED_COLOUR
    assert tuple(picture[90 * zoom, 50 * zoom]) == REJECTED_COLOUR
    # The outermost pixels of the nucleus.
    assert tuple(picture[25 * zoom, 20 * zoom]) == CONTOUR_COLOUR
    assert tuple(picture[25 * zoom, 30 * zoom]) == (0, 0, 0)


def test_sheets_have_a_row_a_label_and_a_row_a_reason(tmp_path, monkeypatch):
    labels = [["a"], ["a", "b"], [], ["c"]]
    support.make_crops(tmp_path, labels, shape=(8, 8, 4))
    rows = crops.read_crops(tmp_path).rows
    why = {"accepted": False, "reason": "too dim (focus 1 < 2); too far"}
    rows[3] = dataclasses.replace(rows[3], **why)
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


def test_overlays_are_drawn_of_fields_spread_over_all(tmp_path):
    arrays = [drawn_fields.draw_field(seed) for seed in range(4)]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    for count, expected in ((1, ["f2"]), (2, ["f1", "f2", "f3"])):
        pipeline.crop_fields(
            folder,
            tmp_path / "crops",
            SETTINGS,
            runner=lambda tasks: map(field_results.write_field, tasks),
            overlays=count,
        )
        drawn = sorted(path.stem for path in (tmp_path / "crops/overlays").iterdir())
        assert drawn == expected
    assert images.read_image(tmp_path / "crops/overlays/f2.png").shape[-1] == 3
