"""Images from a site that is slow, cuts, lies and refuses."""

import csv
import errno
import threading

import pytest

from data_prep.download.pace import Clock, Stopped
from data_prep.download.partial import Partial
from tests.data_prep.download.fetching import FastClock, failures, files, partials
from tests.data_prep.download.image_site import (
    announced,
    chunked,
    image_site,
    picture,
    redirect,
    status,
    whole,
)

PNG = picture()
LARGE = picture(side=300)


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


def test_a_full_disk_ends_the_run_with_the_images_name(
    site, fetch, tmp_path, monkeypatch
):
    def fail(partial, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(Partial, "become", fail)
    lines = [f"{site.put(f'/a/{i}.png', whole(PNG))},," for i in range(50)]
    with pytest.raises(OSError, match=r"No space left.*a/\d+\.png"):
        fetch(lines, workers=4)
    assert files(tmp_path) == {}
    assert len(site.asked) < 50


def test_a_folder_with_an_images_name_ends_the_run(site, fetch, tmp_path):
    taken = tmp_path / "images" / "a" / "1.png"
    taken.mkdir(parents=True)
    with pytest.raises(OSError) as refused:
        fetch([f"{site.put('/a/1.png', whole(PNG))},,"])
    assert refused.value.filename == str(taken)


def test_a_rate_of_almost_nothing_makes_threads_wait_until_they_are_stopped():
    # Longer than the system's clocks can tell.
    clock = Clock()
    threading.Timer(0.05, clock.stop).start()
    with pytest.raises(Stopped):
        clock.sleep(1e12)
