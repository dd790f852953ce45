"""Tables of images: what they may ask for, and what is refused in a sentence."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.download import names
from data_prep.download.failure import Failure
from data_prep.download.index import read_index
from data_prep.download.pace import pause_after
from data_prep.download.transfer import redirected
from tfvqgen.errors import DataError, UserError

SITE = "https://images.proteinatlas.org"


@pytest.fixture
def read(tmp_path):
    def run(text, *args, name="index.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_index(path, *args)

    return run


def test_an_image_is_kept_under_its_folders_and_its_own_name(read):
    index = read(f"url\n{SITE}/58586/1060_C8_6_blue_red_green.jpg?v=1#top\n")
    (image,) = index.images
    assert image.path == "58586/1060_C8_6_blue_red_green.jpg"
    assert image.url == f"{SITE}/58586/1060_C8_6_blue_red_green.jpg?v=1"
    assert image.sha256 == ""


def test_a_path_and_a_sum_of_the_table_hold(read):
    text = f"url,sha256,path\n{SITE}/a.png,{'AB' * 32},train/x_red.png\n"
    (image,) = read(text).images
    assert (image.path, image.sha256) == ("train/x_red.png", "ab" * 32)


def test_tables_of_other_systems_are_read(read):
    text = f"\ufeffURL,Path\r\n{SITE}/a.png,a.png\r\n\r\n{SITE}/b.png,\r\n"
    assert [x.path for x in read(text).images] == ["a.png", "b.png"]
    tabs = f"path\turl\na.png\t{SITE}/a.png\n"
    assert [x.path for x in read(tabs, name="index.tsv").images] == ["a.png"]


def test_images_of_other_channels_are_left_out_and_counted(read):
    stems = ("1_A1_1_red", "1_A1_1_yellow", "1_A1_1_blue_red_green", "other")
    text = "url\n" + "".join(f"{SITE}/1/{stem}.jpg\n" for stem in stems)
    index = read(text, ("green", "red"))
    assert [x.path for x in index.images] == [
        "1/1_A1_1_red.jpg",
        "1/1_A1_1_blue_red_green.jpg",
        "1/other.jpg",
    ]
    assert index.left_out == 1


def test_the_same_line_twice_is_one_image(read):
    assert len(read(f"url\n{SITE}/1/a.png\n{SITE}/1/a.png\n").images) == 1


FIELDS = "filename,if_plate_id,antibody,locations\n"


def test_fields_have_the_addresses_of_the_atlas(read):
    index = read(FIELDS + "/archive/7/7_C5_1_,7,HPA000992,Cytosol\n")
    assert [(x.url, x.path) for x in index.images] == [
        (f"{SITE}/992/7_C5_1_{colour}.jpg", f"7/7_C5_1_{colour}.jpg")
        for colour in ("red", "green", "blue", "yellow")
    ]


def test_a_template_may_use_any_column(read):
    line = "/archive/x y/7_C5_1_,7,,Cytosol\n"
    template = "http://host/x{filename}{channel}.tif.gz"
    (image,) = read(FIELDS + line, ("blue",), template).images
    assert image.url == "http://host/x/archive/x%20y/7_C5_1_blue.tif.gz"
    assert image.path == "7/7_C5_1_blue.tif.gz"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty table"),
        ("Id,Target\n1,2\n", "expected url, or filename, locations"),
        ("url\n", "nothing to fetch"),
        (f"url\n{SITE}/a_yellow.png\n", "nothing to fetch"),
        ("url\nfile:///etc/passwd\n", "wrong address in .* line 2"),
        ("url\nhttp://\n", "wrong address"),
        ("url\nhttp://user:word@host/a.png\n", "no user name"),
        ("url\nhttp://host:99999/a.png\n", "wrong address"),
        ("url\nhttp://[::1/a.png\n", "wrong address"),
        (f"url\n{SITE}/\n", "wrong path"),
        (f"url\n{SITE}/a.html\n", "wrong path"),
        (f"url\n{SITE}/%2e%2e/a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,../a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,/a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,.download/a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,a\\b.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,{'a/' * 9}a.png\n", "wrong path"),
        (f"url,path\n{SITE}/a.png,{'a' * 300}.png\n", "wrong path"),
        (f"url,sha256\n{SITE}/a.png,abc\n", "wrong sha256"),
        (f"url,path\n{SITE}/a.png,x.png\n{SITE}/b.png,X.png\n", "same path"),
        (b"url\nhttps://host/\xff.png\n", "UTF-8"),
        (FIELDS + "7_C5_1_,7,,Cytosol\n", "wrong antibody"),
        (FIELDS + "../C5_1_,7,HPA1,Cytosol\n", "wrong filename"),
    ],
)
def test_what_a_table_may_not_ask_for_is_refused(read, text, words):
    with pytest.raises(UserError, match=words):
        read(text, ("red", "green", "blue"))


@pytest.mark.parametrize(
    "template",
    [
        "http://host/{name}.png",
        "http://host/{channel}",
        "http://host/{channel}.exe",
        "http://host/{nope}_{channel}.png",
        "http://host/{channel.__class__}.png",
        "http://host/{channel!r}.png",
        "http://host/{channel:9}.png",
        "http://host/{0}{channel}.png",
        "http://host/{channel.png",
        "http://[host/{channel}.png",
    ],
)
def test_a_template_has_plain_columns_and_an_images_ending(read, template):
    line = "7_C5_1_,7,HPA1,Cytosol\n"
    with pytest.raises(UserError, match="wrong --url"):
        read(FIELDS + line, ("red",), template)


@given(st.text() | st.from_regex(r"[a-zA-Z0-9./\\:~ _-]{1,30}\.png", fullmatch=True))
def test_no_path_leads_out_of_the_folder(text):
    try:
        path = names.checked_path(text, "here")
    except DataError:
        return
    folder = Path("/images")
    assert (folder / path).resolve().is_relative_to(folder)
    assert not any(part.startswith(".") for part in Path(path).parts)
    assert re.search(r"\.(png|jpe?g|tiff?)(\.gz)?$", path, re.IGNORECASE)


@given(st.text())
def test_any_address_is_of_the_web_or_refused(text):
    try:
        url = names.checked_url(text, "here")
    except DataError:
        return
    assert url.lower().startswith(("http://", "https://"))
    assert names.host_of(url)


def test_redirects_may_gain_encryption_but_not_lose_it():
    target = "https://other/b.png"
    assert redirected("http://host/a.png", {"Location": target}) == target
    assert redirected(target, {"Location": "c.png"}) == "https://other/c.png"
    with pytest.raises(Failure, match="from https to http"):
        redirected(target, {"Location": "http://other/b.png"})


def test_pauses_double_up_to_a_minute_and_half_of_each_is_chance():
    most = [pause_after(attempt, lambda: 0.0) for attempt in range(9)]
    assert most == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    least = [pause_after(attempt, lambda: 1.0) for attempt in range(9)]
    assert least == [pause / 2 for pause in most]
