import hashlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from data_prep.commands import download
from tests import support
from tests.data_prep.image_site import cut, image_site, picture, status, whole
from tfvqgen.errors import UserError

PNG = picture()
LARGE = picture(side=400)


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


def _run(index, output, *flags):
    words = ("--index", index, "--output", output, "--rate", 0)
    support.run_command(download, *words, *flags)


def test_the_command_prints_counts(site, index, tmp_path, capsys):
    url = site.put("/a/1_red.png", whole(PNG))
    digest = hashlib.sha256(PNG).hexdigest()
    table = index(f"{url},{digest}", f"{site.url}/a/1_blue.png,", header="url,sha256")
    flags = ("--credit", "random noise", "--channels", "red,green")
    _run(table, tmp_path / "images", *flags)
    printed = capsys.readouterr()
    assert "1 downloaded" in printed.out and "0 existed; 1 in all" in printed.out
    assert "left out: 1 images of other channels" in printed.out
    assert "downloading" in printed.err
    _run(table, tmp_path / "images", *flags)
    assert "0 downloaded (0.0 MB), 1 existed" in capsys.readouterr().out
    assert len(site.asked) == 1


def test_failures_are_named_and_counted(site, index, tmp_path, capsys):
    urls = [site.put(f"/a/{i}.png", status(404 + i % 2 * 6)) for i in range(5)]
    urls.append(site.put("/a/x.png", whole(PNG)))
    message = "expected all 6. Received: 3 HTTP 404; 2 HTTP 410; see .*failed.csv"
    with pytest.raises(UserError, match=message):
        _run(index(*urls), tmp_path / "images", "--credit", "x")
    lines = capsys.readouterr().err
    assert all(f"failed: a/{i}.png (HTTP" in lines for i in range(5))


def test_the_credit_of_other_sites_must_be_given(index, tmp_path):
    table = index("https://notproteinatlas.org/a.png", "https://proteinatlas.org/b.png")
    message = r"expected --credit .* Received: notproteinatlas\.org$"
    with pytest.raises(UserError, match=message):
        _run(table, tmp_path / "images")
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize(
    ("flag", "value"), [("workers", 0), ("rate", "nan"), ("channels", "purple")]
)
def test_flags_out_of_range_are_refused(index, tmp_path, flag, value):
    table = index("https://images.proteinatlas.org/1/1_A1_1_red.jpg")
    with pytest.raises(UserError, match="expected"):
        _run(table, tmp_path / "images", f"--{flag}", value)
    with pytest.raises(UserError, match="the index is in the output folder"):
        _run(table, tmp_path)


def test_an_interrupted_command_continues_when_it_is_run_again(site, index, tmp_path):
    over = threading.Event()
    urls = [
        site.put("/a/1.png", whole(PNG)),
        site.put("/a/2.png", cut(LARGE, 140_000, until=over)),
    ]
    table, output = index(*urls), tmp_path / "images"
    words = ("--index", table, "--output", output, "--credit", "x", "--workers", "2")
    process = subprocess.Popen(
        [sys.executable, "-m", "data_prep", "download", *map(str, words)],
        cwd=support.ROOT,
        env=support.environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (output / "a" / "1.png").exists() or not any(
        part.stat().st_size > 100_000 for part in output.glob(".download/*.part")
    ):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    over.set()
    assert process.returncode == 128 + signal.SIGINT
    assert "run the same command again to continue" in err.splitlines()[-1]
    assert [path.name for path in output.rglob("*.png")] == ["1.png"]
    site.put("/a/2.png", whole(LARGE))
    site.asked.clear()
    _run(table, output, "--credit", "x")
    assert [path for path, _ in site.asked] == ["/a/2.png"]
    assert site.asked[0][1]["Range"].startswith("bytes=1")
    assert (output / "a" / "2.png").read_bytes() == LARGE
