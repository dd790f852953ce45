import itertools

import numpy as np
from PIL import ImageFont

from tfvqgen.evaluation.figures.plates import BACKGROUND, beside, plate, wrapped


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


def test_lines_are_full_but_not_too_long_and_lose_no_word():
    font = ImageFont.load_default(14)
    text = "a figure has a caption that says what is seen and where it is from"
    lines = wrapped(text, font, 120)
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 120 for line in lines)
    for line, after in itertools.pairwise(lines):
        assert font.getlength(f"{line} {after.split()[0]}") > 120


def test_a_word_that_is_too_long_has_a_line_of_its_own():
    assert wrapped("a incomprehensibilities b", ImageFont.load_default(14), 30) == [
        "a",
        "incomprehensibilities",
        "b",
    ]


def test_pictures_stand_beside_each_other():
    made = beside([picture(10, 20, 100), picture(30, 5, 200)])
    assert made.shape[0] == 30
    assert (made[:10, :20] == 100).all() and (made[:, -5:] == 200).all()
    assert (made[10:, :20] == BACKGROUND).all()
