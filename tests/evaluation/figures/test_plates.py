import numpy as np

from tfvqgen.data.sheets import BACKGROUND
from tfvqgen.evaluation.figures.plates import beside, plate


def picture(height, width, value):
    return np.full((height, width, 3), value, np.uint8)


def test_a_picture_stays_as_it_is_between_title_and_caption():
    inner = np.random.default_rng(0).integers(0, 256, (50, 600, 3), np.uint8)
    made = plate(inner, "Figure 1", "some words " * 30)
    top = next(y for y in range(len(made)) if np.array_equal(made[y, 12:612], inner[0]))
    np.testing.assert_array_equal(made[top : top + 50, 12:612], inner)
    assert (made[:top] != BACKGROUND).any()
    assert (made[top + 50 :] != BACKGROUND).any()


def test_a_longer_caption_makes_a_longer_plate_but_no_wider_one():
    short, long = (plate(picture(20, 500, 9), "t", "word " * n) for n in (3, 300))
    assert long.shape[0] > short.shape[0] + 100
    assert long.shape[1] == short.shape[1]


def test_pictures_stand_beside_each_other():
    made = beside([picture(10, 20, 100), picture(30, 5, 200)])
    assert made.shape[0] == 30
    assert (made[:10, :20] == 100).all() and (made[:, -5:] == 200).all()
    assert (made[10:, :20] == BACKGROUND).all()
