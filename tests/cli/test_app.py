import subprocess
import sys

import pytest

from tests import support


def start(*flags):
    return subprocess.Popen(
        [sys.executable, "-m", "tfvqgen", "app", *flags],
        cwd=support.ROOT,
        env=support.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_help_teaches_without_tensorflow():
    with start("--help") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "--port" in output and "only this machine can reach it" in output


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "--model"),
        (["--model", "m", "--port", "70000"], "0 to 65535"),
        (["--model", "nowhere"], "nowhere"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_mistakes_are_one_line_and_status_2(flags, words):
    with start(*flags) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert words in errors
