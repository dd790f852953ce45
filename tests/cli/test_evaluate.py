import subprocess
import sys

import pytest

from tests import support


def evaluate(*flags):
    return subprocess.run(
        [sys.executable, "-m", "tfvqgen", "evaluate", *flags],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def test_help_teaches_without_tensorflow():
    result = evaluate("--help")
    assert result.returncode == 0
    assert "--num_samples" in result.stdout
    assert "judged on crops that they were not trained on" in result.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--workdir", "x"], "--data_dir"),
        (["--workdir", "nowhere", "--data_dir", "x"], "nowhere"),
    ],
)
def test_mistakes_are_one_line_and_status_2(flags, words):
    result = evaluate(*flags)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert words in result.stderr
