"""Images from a site that is slow, cuts, lies and refuses."""

import csv
import os
import threading
import time

import pytest

from data_prep.download.index import read_index
from data_prep.download.pace import Clock
from data_prep.download.run import JOURNAL, PARTIALS, STATE, Options, download
from tests.data_prep.image_site import (
    announced,
    chunked,
    cut,
    image_site,
    picture,
    redirect,
    stalling,
    status,
    whole,
)

PNG = picture()
LARGE = picture(side=300)


class FastClock(Clock):
    """Time that passes only where somebody sleeps, and `tick` a look at it."""

    def __init__(self, tick: float = 0.0):
        super().__init__()
        self.slept: list[float] = []
        self._time = 0.0
        self._tick = tick
        self._lock = threading.Lock()

    def now(self):
        with self._lock:
            self._time += self._tick
            return self._time

    def sleep(self, seconds):
        self.check()
        with self._lock:
            self._time += max(0.0, seconds)
            if seconds > 0:
                self.slept.append(round(seconds, 6))


@pytest.fixture
def site():
    with image_site() as made:
        yield made


@pytest.fixture
def fetch(site, tmp_path):
    """Returns what downloads lines of an index, all the site's paths by default."""

    def run(lines, *, clock=None, header="url,path,sha256", **options):
        table = tmp_path / "index.csv"
        table.write_text("\n".join([header, *lines]) + "\n")
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        chosen = {"workers": 1, "rate": 0, "retries": 3, "timeout": 5, **options}
        return download(
            read_index(table),
            folder,
            "random noise",
            Options(**chosen),
            clock=clock or FastClock(),
            jitter=lambda: 0.0,
        )

    return run


def failures(report):
    return {wanted.path: reason for wanted, reason in report.failed}


def files(tmp_path):
    """Returns what a reader of images sees."""
    folder = tmp_path / "images"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".png", ".jpg")
    }


def partials(tmp_path):
    return list((tmp_path / "images" / STATE).glob(f"{PARTIALS}/*.part"))


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


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (announced(PNG, len(PNG) + 9), "the connection broke"),
        (announced(PNG, len(PNG) - 9), "a PNG without its end"),
        (announced(PNG[:-9], None), "a PNG without its end"),
        (announced(b"", 0), "an empty file"),
        (
            announced(b"<html>log in</html>", 19),
            "not a PNG: it starts with b'<html>log",
        ),
        (chunked(LARGE, finished=False), "the connection broke"),
        (status(404), "HTTP 404"),
        (status(403), "HTTP 403"),
        (status(503), "HTTP 503"),
        (status(206, Content_Range="bytes 0-7/8"), "HTTP 206"),
        (redirect("file:///etc/passwd"), "a redirect that leaves the web"),
        (redirect("ftp://host/a.png"), "a redirect that leaves the web"),
        (redirect("http://user:word@host/"), "a redirect that leaves the web"),
        (redirect("/a/1.png"), "more than 5 redirects"),
    ],
)
def test_what_is_not_the_image_is_named_and_the_others_come(
    site, fetch, tmp_path, answer, reason
):
    bad = site.put("/a/1.png", answer)
    good = site.put("/a/2.png", whole(PNG))
    report = fetch([f"{bad},,", f"{good},,"])
    assert list(failures(report)) == ["a/1.png"]
    assert failures(report)["a/1.png"].startswith(reason)
    assert files(tmp_path) == {"a/2.png": PNG}
    with open(tmp_path / "images" / "failed.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["path"], row["url"]) == ("a/1.png", bad)
    assert row["reason"].startswith(reason)


def test_what_failed_comes_later_and_the_list_goes(site, fetch, tmp_path):
    url = site.put("/a/1.png", status(404))
    fetch([f"{url},,"])
    site.put("/a/1.png", whole(PNG))
    assert fetch([f"{url},,"]).whole
    assert not (tmp_path / "images" / "failed.csv").exists()


def test_a_chunked_image_and_one_behind_redirects_come(site, fetch, tmp_path):
    first = site.put("/a/1.png", chunked(LARGE))
    second = site.put("/a/2.png", redirect("/elsewhere?key=1"))
    site.put("/elsewhere?key=1", redirect(site.url + "/last"))
    site.put("/last", whole(PNG))
    assert fetch([f"{first},,", f"{second},,"]).whole
    assert files(tmp_path) == {"a/1.png": LARGE, "a/2.png": PNG}


@pytest.mark.parametrize(
    ("answer", "pauses"),
    [
        (status(503), [1.0, 2.0, 4.0]),
        (status(500), [1.0, 2.0, 4.0]),
        # The pause that the server asks for, and never less than the usual one.
        (status(429, Retry_After="7"), [1.0, 6.0, 2.0, 5.0, 4.0, 3.0]),
        (
            status(
                503,
                Retry_After="Sun, 06 Nov 1994 08:49:47 GMT",
                Date="Sun, 06 Nov 1994 08:49:37 GMT",
            ),
            [1.0, 9.0, 2.0, 8.0, 4.0, 6.0],
        ),
        (status(429, Retry_After="soon"), [1.0, 2.0, 4.0]),
    ],
)
def test_pauses_double_and_are_as_long_as_the_server_asks(site, fetch, answer, pauses):
    clock = FastClock()
    url = site.put("/a/1.png", answer, answer, answer, whole(PNG))
    assert fetch([f"{url},,"], clock=clock).whole
    assert clock.slept == pauses


def test_a_pause_beyond_patience_is_a_failure(site, fetch):
    clock = FastClock()
    url = site.put("/a/1.png", status(429, Retry_After="86400"))
    report = fetch([f"{url},,"], clock=clock)
    assert failures(report) == {"a/1.png": "HTTP 429, to be asked in 86400 s"}
    assert len(site.asked) == 1 and clock.slept == []


def test_retries_end(site, fetch):
    url = site.put("/a/1.png", status(503))
    report = fetch([f"{url},,"], retries=2)
    assert failures(report) == {"a/1.png": "HTTP 503"}
    assert len(site.asked) == 3


def test_a_wrong_sum_is_tried_once_more_and_never_gets_the_name(site, fetch, tmp_path):
    url = site.put("/a/1.png", whole(PNG))
    report = fetch([f"{url},,{'ab' * 32}"], retries=9)
    assert failures(report) == {"a/1.png": "a sha256 that is not the index's"}
    assert len(site.asked) == 2
    assert files(tmp_path) == {} and partials(tmp_path) == []


@pytest.mark.parametrize("answer", [whole(LARGE), chunked(LARGE)])
def test_an_image_above_the_limit_is_not_taken(site, fetch, tmp_path, answer):
    report = fetch([f"{site.put('/a/1.png', answer)},,"], most_bytes=20_000)
    assert failures(report) == {"a/1.png": "more than 0.02 MB"}
    assert files(tmp_path) == {}
    assert sum(path.stat().st_size for path in partials(tmp_path)) <= 20_000


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


def test_when_nobody_answers_the_rest_is_not_tried(fetch):
    with image_site() as gone:
        url = gone.url
    lines = [f"{url}/a/{i}.png,," for i in range(100)]
    report = fetch(lines, retries=0)
    assert len(report.failed) == 20 and report.untried == 80
    assert all(reason.startswith("no conn") for reason in failures(report).values())
    assert not report.whole


def test_images_that_a_server_does_not_have_stop_nothing(site, fetch):
    lines = [f"{site.url}/a/{i}.png,," for i in range(50)]
    report = fetch([*lines, f"{site.put('/a/x.png', whole(PNG))},,"])
    assert (len(report.failed), report.fetched, report.untried) == (50, 1, 0)


def test_the_rate_holds_over_all_requests(site, fetch):
    clock = FastClock()
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(5)]
    fetch(lines, clock=clock, rate=4)
    assert clock.slept == [0.25] * 4


def test_a_link_out_of_the_folder_is_not_followed(site, fetch, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a").symlink_to(outside)
    with pytest.raises(ValueError, match="a link leaves the folder"):
        fetch([f"{site.put('/a/1.png', whole(PNG))},,"])
    assert list(outside.iterdir()) == []
