"""What is there is kept, what was begun is continued, and never anything else."""

import hashlib
import os
import threading
import time

import pytest

from data_prep.download.run import JOURNAL, STATE
from tests.data_prep.download.fetching import FastClock, failures, files, partials
from tests.data_prep.download.image_site import (
    cut,
    picture,
    stalling,
    status,
    whole,
)

PNG = picture()
LARGE = picture(side=300)


@pytest.mark.parametrize("workers", [1, 8])
def test_every_image_comes_once_whatever_the_number_of_workers(
    site, fetch, tmp_path, workers
):
    images = {f"7/{i}_red.png": picture(seed=i) for i in range(20)}
    lines = [f"{site.put('/' + path, whole(x))},," for path, x in images.items()]
    report = fetch(lines, workers=workers)
    assert (report.fetched, report.kept, report.whole) == (20, 0, True)
    assert files(tmp_path) == images
    assert sorted(site.paths()) == sorted(f"/{path}" for path in images)
    assert report.bytes == sum(map(len, images.values()))


def test_the_credit_line_stands_beside_the_images(site, fetch, tmp_path):
    fetch([f"{site.put('/a/1.png', whole(PNG))},,"])
    folder = tmp_path / "images"
    assert (folder / "CREDIT.txt").read_text().startswith("random noise\n")
    assert '"credit": "random noise"' in (folder / "fields.json").read_text()


def test_a_second_run_asks_for_nothing(site, fetch, tmp_path):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(3)]
    fetch(lines)
    before = files(tmp_path)
    site.asked.clear()
    report = fetch(lines)
    assert (report.fetched, report.kept, report.changed) == (0, 3, [])
    assert site.asked == []
    assert files(tmp_path) == before


def test_a_damaged_and_a_missing_image_come_again(site, fetch, tmp_path):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(4)]
    fetch(lines)
    folder = tmp_path / "images" / "a"
    (folder / "1.png").write_bytes(PNG[:-1])
    (folder / "2.png").unlink()
    os.utime(folder / "3.png", (1, 1))
    site.asked.clear()
    report = fetch(lines)
    assert (report.fetched, report.kept, report.changed) == (2, 2, ["a/1.png"])
    assert sorted(site.paths()) == ["/a/1.png", "/a/2.png"]
    assert set(files(tmp_path).values()) == {PNG}


def test_damage_that_leaves_size_and_time_is_found_by_reading_all(
    site, fetch, tmp_path
):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(2)]
    fetch(lines)
    path = tmp_path / "images" / "a" / "1.png"
    times = path.stat()
    path.write_bytes(PNG[:20] + b"x" + PNG[21:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fetch(lines).changed == []
    report = fetch(lines, verify=True)
    assert (report.fetched, report.kept, report.changed) == (1, 1, ["a/1.png"])
    assert path.read_bytes() == PNG


def test_an_image_whose_address_or_sum_changed_comes_again(site, fetch, tmp_path):
    first = site.put("/first/1.png", whole(PNG))
    second = site.put("/second/1.png", whole(LARGE))
    fetch([f"{first},a/1.png,"])
    fetch([f"{second},a/1.png,"])
    assert files(tmp_path) == {"a/1.png": LARGE}
    report = fetch([f"{second},a/1.png,{'0' * 64}"])
    assert failures(report) == {"a/1.png": "a sha256 that is not the index's"}


def test_a_kill_in_the_middle_of_the_journal_costs_one_image(site, fetch, tmp_path):
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(3)]
    fetch(lines)
    journal = tmp_path / "images" / STATE / JOURNAL
    journal.write_text(journal.read_text()[:-30])
    site.asked.clear()
    report = fetch(lines)
    assert (report.fetched, report.kept) == (1, 2)
    assert fetch(lines).kept == 3


def test_a_cut_connection_is_continued_where_it_ended(site, fetch, tmp_path):
    clock = FastClock()
    url = site.put("/a/1.png", cut(LARGE, 50_000), whole(LARGE))
    assert fetch([f"{url},,"], clock=clock).whole
    assert files(tmp_path) == {"a/1.png": LARGE}
    assert [headers.get("Range") for _, headers in site.asked] == [
        None,
        "bytes=50000-",
    ]
    assert site.asked[1][1]["If-Range"] == '"1"'
    assert clock.slept == [1.0]


def test_a_part_is_continued_by_the_next_run(site, fetch, tmp_path):
    url = site.put("/a/1.png", cut(LARGE, 50_000))
    report = fetch([f"{url},,"], retries=0)
    assert failures(report) == {"a/1.png": "the connection broke"}
    assert files(tmp_path) == {}
    site.put("/a/1.png", whole(LARGE))
    site.asked.clear()
    assert fetch([f"{url},,"]).whole
    assert site.asked[0][1]["Range"] == "bytes=50000-"
    assert files(tmp_path) == {"a/1.png": LARGE}
    assert partials(tmp_path) == []


@pytest.mark.parametrize(
    "again",
    [
        whole(LARGE, etag='"2"'),
        whole(LARGE, ranges=False),
        # A server that does not know If-Range sends the rest of another image.
        status(
            206,
            ETag='"2"',
            Content_Range=f"bytes 50000-50007/{len(LARGE)}",
        ),
        status(206, Content_Range="bytes 0-7/8"),
        status(206),
        status(416),
    ],
)
def test_parts_of_different_images_are_never_joined(site, fetch, tmp_path, again):
    other = picture(side=300, seed=1)
    assert len(other) > 50_000
    url = site.put("/a/1.png", cut(other, 50_000), again, whole(LARGE, etag='"2"'))
    assert fetch([f"{url},,"]).whole
    assert files(tmp_path) == {"a/1.png": LARGE}


def test_without_a_name_for_the_image_it_begins_anew(site, fetch, tmp_path):
    url = site.put("/a/1.png", cut(LARGE, 50_000, etag='W/"1"'), whole(LARGE))
    assert fetch([f"{url},,"]).whole
    assert all("Range" not in headers for _, headers in site.asked)
    assert files(tmp_path) == {"a/1.png": LARGE}


def test_a_server_that_cuts_often_is_outlasted(site, fetch, tmp_path):
    image = picture(side=1500)

    def some_more(request):
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        request.send_response(206 if start else 200)
        request.send_header("ETag", '"1"')
        request.send_header("Content-Length", str(len(image) - start))
        if start:
            size = len(image)
            request.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        request.end_headers()
        request.wfile.write(image[start : start + 300_000])
        request.close_connection = True

    assert fetch([f"{site.put('/a/1.png', some_more)},,"], retries=1).whole
    assert len(site.asked) == -(-len(image) // 300_000) > 5
    assert files(tmp_path) == {"a/1.png": image}


def test_a_stalled_connection_is_given_up_and_continued(site, fetch, tmp_path):
    over = threading.Event()
    url = site.put("/a/1.png", stalling(LARGE, 50_000, over), whole(LARGE))
    started = time.monotonic()
    assert fetch([f"{url},,"], timeout=0.2).whole
    over.set()
    assert time.monotonic() - started < 5
    assert site.asked[1][1]["Range"] == "bytes=50000-"
    assert files(tmp_path) == {"a/1.png": LARGE}


def test_a_server_too_slow_for_an_answer_is_asked_for_the_rest(site, fetch, tmp_path):
    clock = FastClock(tick=1.0)
    url = site.put("/a/1.png", whole(LARGE))
    assert fetch([f"{url},,"], clock=clock, image_timeout=0.5, retries=99).whole
    assert len(site.asked) > 1
    assert files(tmp_path) == {"a/1.png": LARGE}


def test_what_was_joined_wrongly_is_fetched_anew(site, fetch, tmp_path):
    other = picture(side=300, seed=1)
    digest = hashlib.sha256(LARGE).hexdigest()
    # A server that changes the image but not its name for it.
    url = site.put(
        "/a/1.png", status(503), cut(other, 50_000), whole(LARGE), whole(LARGE)
    )
    assert fetch([f"{url},,{digest}"]).whole
    assert files(tmp_path) == {"a/1.png": LARGE}
    assert len(site.asked) == 4
