"""The command ``download``: what it says, and how it ends."""

import argparse
import hashlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from data_prep.commands import download
from tests import support
from tests.data_prep.download.image_site import (
    image_site,
    picture,
    stalling,
    status,
    whole,
)
from tfvqgen.errors import UserError

PNG = picture()
LARGE = picture(side=300)


@pytest.fixture
def site():
    with image_site() as made:
        yield made


@pytest.fixture
def index(tmp_path):
    def write(*lines, header="url"):
        path = tmp_path / "index.csv"
        path.write_text("\n".join([header, *lines]) + "\n")
        return path

    return write


def run(index, output, *flags):
    parser = argparse.ArgumentParser()
    download.add_flags(parser)
    words = ("--index", index, "--output", output, "--rate", 0, *flags)
    download.run(parser.parse_args([str(word) for word in words]))


def test_it_says_what_came_and_what_was_there(site, index, tmp_path, capsys):
    url = site.put("/a/1_red.png", whole(PNG))
    digest = hashlib.sha256(PNG).hexdigest()
    table = index(f"{url},{digest}", f"{site.url}/a/1_blue.png,", header="url,sha256")
    flags = ("--credit", "random noise", "--channels", "red,green")
    run(table, tmp_path / "images", *flags)
    out = capsys.readouterr().out
    assert "1 fetched" in out and "0 were there; 1 in all" in out
    assert "left out: 1 images of other channels" in out
    run(table, tmp_path / "images", *flags)
    assert "0 fetched (0.0 MB), 1 were there" in capsys.readouterr().out
    assert len(site.asked) == 1


def test_failures_are_named_and_counted(site, index, tmp_path, capsys):
    urls = [site.put(f"/a/{i}.png", status(404 + i % 2 * 6)) for i in range(5)]
    urls.append(site.put("/a/x.png", whole(PNG)))
    output = tmp_path / "images"
    with pytest.raises(UserError) as failed:
        run(index(*urls), output, "--credit", "x")
    assert "some images did not come: expected all 6." in str(failed.value)
    assert "Received: 3 HTTP 404; 2 HTTP 410; named in" in str(failed.value)
    lines = capsys.readouterr().err
    for i in range(5):
        assert f"failed: a/{i}.png (HTTP" in lines
    assert len((output / "failed.csv").read_text().splitlines()) == 6


def test_the_credit_of_other_sites_must_be_given(index, tmp_path):
    table = index(
        "https://example.org/a/1.png", "https://images.proteinatlas.org/b.png"
    )
    with pytest.raises(UserError, match=r"expected --credit .* Received: example\.org"):
        run(table, tmp_path / "images")
    fake = index("https://notproteinatlas.org/a.png")
    with pytest.raises(UserError, match="the licence is not known"):
        run(fake, tmp_path / "images")
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ("--workers", 0),
        ("--workers", 1000),
        ("--rate", -1),
        ("--rate", "nan"),
        ("--retries", -1),
        ("--timeout", 0),
        ("--image_timeout", 0),
        ("--max_megabytes", 0),
        ("--channels", "purple"),
        ("--channels", ""),
    ],
)
def test_flags_out_of_range_are_refused(index, tmp_path, flags):
    table = index("https://images.proteinatlas.org/1/1_A1_1_red.jpg")
    with pytest.raises(UserError, match="expected"):
        run(table, tmp_path / "images", *flags)


def test_the_index_may_not_lie_where_tables_are_written(index, tmp_path):
    table = index("https://images.proteinatlas.org/1/1_A1_1_red.jpg")
    with pytest.raises(UserError, match="the index is in the output folder"):
        run(table, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_is_gone_on_with(site, index, tmp_path, number):
    over = threading.Event()
    first = site.put("/a/1.png", whole(PNG))
    second = site.put("/a/2.png", stalling(LARGE, 60_000, over))
    table, output = index(first, second), tmp_path / "images"
    words = ("--index", table, "--output", output, "--credit", "x", "--workers", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", "download", *map(str, words)],
        cwd=support.ROOT,
        env=support.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    parts = output / ".download" / "partial"
    while not any(x.stat().st_size >= 60_000 for x in parts.glob("*.part")):
        assert process.poll() is None
        time.sleep(0.02)
    while not (output / "a" / "1.png").exists():
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    over.set()
    assert process.returncode == 128 + number
    assert "run the same command again to continue" in err.splitlines()[-1]
    assert [x.name for x in output.rglob("*.png")] == ["1.png"]
    site.put("/a/2.png", whole(LARGE))
    site.asked.clear()
    run(table, output, "--credit", "x")
    assert [path for path, _ in site.asked] == ["/a/2.png"]
    assert site.asked[0][1]["Range"] == "bytes=60000-"
    assert (output / "a" / "2.png").read_bytes() == LARGE
