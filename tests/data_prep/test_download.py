import csv
import errno
import gzip
import hashlib
import io
import os
import time

import numpy as np
import pytest
from PIL import Image

from data_prep.download import DownloadOptions, download
from data_prep.image_index import read_index
from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.image_site import cut, image_site, picture, status, whole

PNG = picture()
LARGE = picture(side=400)
COLOURS = ("red", "green", "blue", "yellow")


@pytest.fixture
def site():
    with image_site() as made:
        yield made


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Returns a function that downloads the images of an index without pauses."""
    monkeypatch.setattr("data_prep.download._PAUSE", 0.0)

    def run(
        *lines, header="url,path,sha256", template="http://host/{channel}.png", **o
    ):
        (tmp_path / "index.csv").write_text("\n".join([header, *lines]) + "\n")
        (tmp_path / "images").mkdir(exist_ok=True)
        index = read_index(tmp_path / "index.csv", COLOURS, template)
        options = {"workers": 1, "rate": 0, "retries": 3, "timeout": 5, **o}
        return download(
            index, tmp_path / "images", "random noise", DownloadOptions(**options)
        )

    return run


def _failures(report):
    return {image.path: reason for image, reason in report.failed}


def _images(tmp_path):
    folder = tmp_path / "images"
    paths = [path for path in folder.rglob("*") if path.suffix in (".png", ".jpg")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_every_image_is_downloaded_once(site, fetch, tmp_path):
    images = {f"7/{i}_red.png": picture(seed=i) for i in range(12)}
    lines = [f"{site.put('/' + path, whole(x))},," for path, x in images.items()]
    report = fetch(*lines, workers=4)
    assert (report.fetched, report.kept, report.failed) == (12, 0, [])
    assert report.bytes == sum(map(len, images.values()))
    assert _images(tmp_path) == images
    folder = tmp_path / "images"
    assert (folder / "CREDIT.txt").read_text().startswith("random noise\n")
    assert '"credit": "random noise"' in (folder / "fields.json").read_text()
    report = fetch(*lines)
    assert (report.fetched, report.kept, report.changed) == (0, 12, [])
    assert len(site.asked) == 12


@pytest.mark.parametrize(
    ("answer", "reason", "num_requests"),
    [
        (status(404), "HTTP 404", 1),
        (status(503), "HTTP 503", 4),
        (status(302, Location="file:///etc/passwd"), "no answer", 1),
        (cut(PNG, 50, etag=""), "the connection broke", 4),
        (whole(b"<html>log in</html>"), "not an image: expected a whole PNG", 2),
        (whole(PNG[:-30]), "a damaged image: expected a whole PNG", 2),
    ],
)
def test_a_failure_is_listed_and_the_other_images_are_downloaded(
    site, fetch, tmp_path, answer, reason, num_requests
):
    bad, good = site.put("/a/1.png", answer), site.put("/a/2.png", whole(PNG))
    report = fetch(f"{bad},,", f"{good},,")
    assert list(_failures(report)) == ["a/1.png"]
    assert _failures(report)["a/1.png"].startswith(reason)
    assert len(site.asked) == num_requests + 1
    assert _images(tmp_path) == {"a/2.png": PNG}
    failures = tmp_path / "images" / "failed.csv"
    (row,) = csv.DictReader(failures.read_text().splitlines())
    assert (row["path"], row["url"]) == ("a/1.png", bad)
    site.put("/a/1.png", whole(PNG))
    assert fetch(f"{bad},,", f"{good},,").fetched == 1
    assert not failures.exists()


@pytest.mark.parametrize(("name", "kind"), [("a.tif", "TIFF"), ("a.png.gz", "PNG")])
def test_images_of_all_types_are_checked_by_decoding(site, fetch, tmp_path, name, kind):
    data = picture(kind, side=60)
    data = gzip.compress(data) if name.endswith(".gz") else data
    site.put(f"/whole/{name}", whole(data))
    site.put(f"/part/{name}", whole(data[: len(data) // 2]))
    report = fetch(*(f"{site.url}/{folder}/{name},," for folder in ("whole", "part")))
    assert list(_failures(report)) == [f"part/{name}"]
    assert (tmp_path / "images" / "whole" / name).read_bytes() == data


def test_requests_are_limited_to_the_rate(site, fetch):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(4)]
    started = time.monotonic()
    fetch(*lines, rate=20, workers=4)
    assert time.monotonic() - started > 3 / 20


def test_a_wrong_checksum_is_a_failure(site, fetch, tmp_path):
    url = site.put("/a/1.png", whole(PNG))
    report = fetch(f"{url},,{'ab' * 32}")
    assert _failures(report) == {"a/1.png": "a sha256 that is not the one of the index"}
    assert _images(tmp_path) == {}
    assert fetch(f"{url},,{hashlib.sha256(PNG).hexdigest()}").fetched == 1


def test_an_image_above_the_limit_is_a_failure(site, fetch, tmp_path):
    report = fetch(f"{site.put('/a/1.png', whole(LARGE))},,", max_bytes=20_000)
    assert _failures(report) == {"a/1.png": "more than 0.02 MB"}
    assert _images(tmp_path) == {}


def test_the_download_stops_when_no_server_answers(fetch):
    with image_site() as gone:
        url = gone.url
    report = fetch(*(f"{url}/a/{i}.png,," for i in range(50)), retries=0)
    assert len(report.failed) == 20 and report.untried == 30
    assert all("no answer" in reason for reason in _failures(report).values())


def test_damaged_and_missing_images_are_downloaded_again(site, fetch, tmp_path):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(4)]
    fetch(*lines)
    folder = tmp_path / "images" / "a"
    (folder / "1.png").write_bytes(PNG[:-1])
    (folder / "2.png").unlink()
    os.utime(folder / "3.png", (1, 1))
    site.asked.clear()
    report = fetch(*lines)
    assert (report.fetched, report.kept, report.changed) == (2, 2, ["a/1.png"])
    assert sorted(path for path, _ in site.asked) == ["/a/1.png", "/a/2.png"]
    # Only the checksum finds damage that leaves size and time as they were.
    times = (folder / "0.png").stat()
    (folder / "0.png").write_bytes(PNG[:20] + b"x" + PNG[21:])
    os.utime(folder / "0.png", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fetch(*lines).changed == []
    assert fetch(*lines, verify=True).changed == ["a/0.png"]
    assert set(_images(tmp_path).values()) == {PNG}


def test_an_image_with_another_address_is_downloaded_again(site, fetch, tmp_path):
    first, second = site.put("/1.png", whole(PNG)), site.put("/2.png", whole(LARGE))
    fetch(f"{first},a/1.png,")
    assert fetch(f"{second},a/1.png,").fetched == 1
    assert _images(tmp_path) == {"a/1.png": LARGE}


@pytest.mark.parametrize("text", ['{"path": "a/', "[]\n5\nnull\n"])
def test_damage_of_the_journal_is_survived(site, fetch, tmp_path, text):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(3)]
    fetch(*lines)
    journal = tmp_path / "images" / ".download" / "images.jsonl"
    journal.write_text(journal.read_text().splitlines()[0] + "\n" + text)
    report = fetch(*lines)
    assert (report.fetched, report.kept) == (2, 1)
    assert fetch(*lines).kept == 3


@pytest.mark.parametrize("retries", [0, 3])
def test_an_interrupted_image_is_continued(site, fetch, tmp_path, retries):
    url = site.put("/a/1.png", cut(LARGE, 140_000), whole(LARGE))
    if fetch(f"{url},,", retries=retries).failed:
        assert retries == 0 and _images(tmp_path) == {}
        assert fetch(f"{url},,").fetched == 1
    assert _images(tmp_path) == {"a/1.png": LARGE}
    headers = site.asked[-1][1]
    assert headers["Range"] == "bytes=140000-" and headers["If-Range"] == '"1"'
    assert not list((tmp_path / "images" / ".download").glob("*.part"))


@pytest.mark.parametrize(
    "again",
    [
        # A server that changes an image but not its ETag.
        whole(LARGE),
        whole(LARGE, etag='"2"'),
        whole(LARGE, ranges=False),
        # A server that ignores If-Range sends the rest of another image.
        status(206, ETag='"2"', Content_Range=f"bytes 140000-140007/{len(LARGE)}"),
        status(416),
    ],
)
def test_parts_of_different_images_are_never_joined(site, fetch, tmp_path, again):
    other = picture(side=400, seed=1)
    url = site.put("/a/1.png", cut(other, 140_000), again, whole(LARGE, etag='"2"'))
    assert fetch(f"{url},,").fetched == 1
    assert _images(tmp_path) == {"a/1.png": LARGE}


def test_an_image_without_a_validator_is_downloaded_anew(site, fetch, tmp_path):
    url = site.put("/a/1.png", cut(LARGE, 140_000, etag='W/"1"'), whole(LARGE))
    assert fetch(f"{url},,").fetched == 1
    assert all("Range" not in headers for _, headers in site.asked)
    assert _images(tmp_path) == {"a/1.png": LARGE}


def test_a_link_out_of_the_folder_is_not_followed(site, fetch, tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="a link leads out of the output folder"):
        fetch(f"{site.put('/a/1.png', whole(PNG))},,")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_full_disk_ends_the_download(site, fetch, tmp_path, monkeypatch):
    def open_or_fail(path, mode, **options):
        if mode == "ab":
            raise OSError(errno.ENOSPC, "No space left on device")
        return open(path, mode, **options)

    monkeypatch.setattr("data_prep.download.open", open_or_fail, raising=False)
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(50)]
    with pytest.raises(OSError, match=r"No space left.*\.part"):
        fetch(*lines, workers=4)
    assert _images(tmp_path) == {} and len(site.asked) < 50


def _put_field(site, start, seed):
    """Puts the images of a field on the site; returns its pixels."""
    planes = [picture(side=32, seed=10 * seed + k) for k in range(4)]
    for colour, data in zip(COLOURS, planes, strict=True):
        site.put(f"{start}_{colour}.png", whole(data))
    pixels = [np.asarray(Image.open(io.BytesIO(data))) for data in planes]
    return np.stack(pixels, axis=-1)


def test_a_table_of_fields_becomes_the_layout_if_image(site, fetch, tmp_path):
    first = _put_field(site, "/992/7_C5_1", 1)
    table = (
        "filename,locations,antibody",
        '/archive/7/7_C5_1_,"Nucleoplasm,Cytosol",HPA000992',
        "/archive/8/8_A1_2_,,HPA000992",
    )

    def run():
        template = site.url + "/{antibody_number}/{name}_{channel}.png"
        return fetch(*table[1:], header=table[0], template=template)

    assert sorted(_failures(run())) == [f"8/8_A1_2_{c}.png" for c in sorted(COLOURS)]
    found = read_fields(tmp_path / "images")
    assert (found.layout, found.credit) == ("if_image", "random noise")
    (field,) = found.fields
    assert field.labels == ("Nucleoplasm", "Cytosol")
    np.testing.assert_array_equal(read_field(field), first)
    _put_field(site, "/992/8_A1_2", 2)
    assert run().failed == []
    assert len(read_fields(tmp_path / "images").fields) == 2


def test_a_list_of_addresses_becomes_the_layout_hpa(site, fetch, tmp_path):
    image = _put_field(site, "/images/58586/1060_C8_9_cr5af96f44b42f8", 1)
    start = f"{site.url}/images/58586/1060_C8_9_cr5af96f44b42f8"
    assert fetch(*(f"{start}_{colour}.png,," for colour in COLOURS)).failed == []
    found = read_fields(tmp_path / "images")
    assert (found.layout, found.channels) == ("hpa", COLOURS)
    np.testing.assert_array_equal(read_field(found.fields[0]), image)
