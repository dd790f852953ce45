from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import image_index
from tfvqgen.errors import DataError, UserError

SITE = "https://images.proteinatlas.org"
FIELDS = "filename,if_plate_id,antibody,locations\n"


@pytest.fixture
def read(tmp_path):
    def run(text, *args, name="index.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return image_index.read_index(path, *args)

    return run


def test_a_list_gives_addresses_paths_and_checksums(read):
    text = (
        "\ufeffURL,Path,sha256\r\n"
        f"{SITE}/58586/1060_C8_6_blue_red_green.jpg?v=1#top,,\r\n\r\n"
        f"{SITE}/a.png,train/x_red.png,{'AB' * 32}\r\n"
        # A repeated line is one image.
        f"{SITE}/a.png,train/x_red.png,{'ab' * 32}\r\n"
    )
    first, second = read(text).images
    assert first.path == "58586/1060_C8_6_blue_red_green.jpg"
    assert first.url == f"{SITE}/58586/1060_C8_6_blue_red_green.jpg?v=1"
    assert (second.path, second.sha256) == ("train/x_red.png", "ab" * 32)
    tabs = f"path\turl\na.png\t{SITE}/a.png\n"
    assert [x.path for x in read(tabs, name="index.tsv").images] == ["a.png"]


def test_images_of_other_channels_are_left_out_and_counted(read):
    stems = ("1_A1_1_red", "1_A1_1_yellow", "1_A1_1_blue_red_green", "other")
    text = "url\n" + "".join(f"{SITE}/1/{stem}.jpg\n" for stem in stems)
    index = read(text, ("green", "red"))
    assert [x.path.split("/")[1].removesuffix(".jpg") for x in index.images] == [
        "1_A1_1_red",
        "1_A1_1_blue_red_green",
        "other",
    ]
    assert index.num_left_out == 1


def test_a_table_of_fields_gives_an_image_for_each_channel(read):
    index = read(FIELDS + "/archive/7/7_C5_1_,7,HPA000992,Cytosol\n")
    assert [(x.url, x.path) for x in index.images] == [
        (f"{SITE}/992/7_C5_1_{colour}.jpg", f"7/7_C5_1_{colour}.jpg")
        for colour in ("red", "green", "blue", "yellow")
    ]
    line = "/archive/x y/7_C5_1_,7,,Cytosol\n"
    template = "http://host/x{filename}{channel}.tif.gz"
    (image,) = read(FIELDS + line, ("blue",), template).images
    assert image.url == "http://host/x/archive/x%20y/7_C5_1_blue.tif.gz"
    assert image.path == "7/7_C5_1_blue.tif.gz"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Id,Target\n1,2\n", "expected url, or filename, locations"),
        (f"url\n{SITE}/a_yellow.png\n", "no images to download"),
        ("url\nfile:///etc/passwd\n", "wrong address in .* line 2"),
        ("url\nhttp://user:word@host/a.png\n", "no user name"),
        ("url\nhttp://host:99999/a.png\n", "wrong address"),
        (f"url\n{SITE}/a.html\n", "wrong path"),
        (f"url\n{SITE}/%2e%2e/a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,.download/a.png\n", "wrong path"),
        (f"url,sha256\n{SITE}/a.png,abc\n", "wrong sha256"),
        (f"url,path\n{SITE}/a.png,x.png\n{SITE}/b.png,X.png\n", "same path"),
        (FIELDS + "7_C5_1_,7,,Cytosol\n", "wrong antibody"),
        (FIELDS + "../C5_1_,7,HPA1,Cytosol\n", "wrong filename"),
    ],
)
def test_a_wrong_table_is_refused(read, text, message):
    with pytest.raises(UserError, match=message):
        read(text, ("red", "green", "blue"))


@pytest.mark.parametrize(
    "template",
    ["{name}.png", "{channel}.exe", "{channel.__class__}.png", "{channel.png"],
)
def test_a_wrong_template_is_refused(read, template):
    with pytest.raises(UserError, match="wrong --url"):
        read(FIELDS + "7_C5_1_,7,HPA1,Cytosol\n", ("red",), f"http://host/{template}")


@settings(max_examples=50)
@given(st.text() | st.from_regex(r"[a-zA-Z0-9./\\:~ _-]{1,30}\.png", fullmatch=True))
def test_no_path_leads_out_of_the_folder(text):
    try:
        path = image_index.checked_path(text, "here")
    except DataError:
        return
    assert (Path("/images") / path).resolve().is_relative_to("/images")
    assert not any(part.startswith(".") for part in Path(path).parts)
