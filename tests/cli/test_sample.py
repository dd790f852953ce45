import subprocess
import sys

import pytest

from tests import support


def sample(*flags):
    return subprocess.run(
        [sys.executable, "-m", "tfvqgen", "sample", *flags],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def test_help_teaches_without_tensorflow():
    result = sample("--help")
    assert result.returncode == 0
    assert "--num_per_label" in result.stdout
    assert "The same label and seed give the same cell" in result.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--output", "x"], "--model"),
        (["--model", "m", "--output", "x", "--seeds", "1"], "did you mean --seed?"),
        (["--model", "m", "--output", "x", "--seed", "one"], "a whole number"),
        (["--model", "nowhere", "--output", "x"], "nowhere"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_mistakes_are_one_line_and_status_2(flags, words):
    result = sample(*flags)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
