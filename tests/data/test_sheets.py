import itertools

from PIL import ImageFont

from tfvqgen.data.sheets import wrapped


def test_lines_are_full_but_not_too_long_and_lose_no_word():
    font = ImageFont.load_default(14)
    text = "a figure has a caption that says what is seen and where it is from"
    lines = wrapped(text, font, 120)
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 120 for line in lines)
    for line, after in itertools.pairwise(lines):
        assert font.getlength(f"{line} {after.split()[0]}") > 120
    alone = ["a", "incomprehensibilities", "b"]
    assert wrapped(" ".join(alone), font, 30) == alone
