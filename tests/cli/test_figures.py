import subprocess
import sys

import pytest

from tests import support


def figures(*flags):
    return subprocess.run(
        [sys.executable, "-m", "tfvqgen", "figures", *flags],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def test_help_teaches_without_tensorflow():
    result = figures("--help")
    assert result.returncode == 0
    assert "figure4_confusions.png" in result.stdout
    assert "--num_per_label" in result.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--workdir", "x"], "--data_dir"),
        (["--workdir", "nowhere", "--data_dir", "x"], "nowhere"),
        (["--workdir", "x", "--data_dir", "y", "--top_p", "2"], "top_p"),
    ],
)
def test_mistakes_are_one_line_and_status_2(flags, words):
    result = figures(*flags)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
