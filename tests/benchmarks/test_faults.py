import json
import subprocess
import sys

import pytest

from benchmarks.faults import process
from tests import support

pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tmp_path_factory.mktemp("world")


@pytest.fixture(scope="module")
def may_mount(tmp_path_factory):
    try:
        with process.mounted(tmp_path_factory.mktemp("disk"), "size=1m"):
            pass
    except (PermissionError, FileNotFoundError) as error:
        pytest.skip(f"disks cannot be mounted here: {error}")


def strike(world, script, *flags):
    """Runs a script of faults; returns its lines, the last of which sums up."""
    command = [sys.executable, "-m", f"benchmarks.faults.{script}", "--world", world]
    done = subprocess.run(
        [*command, *flags],
        env=support.environment(),
        cwd=support.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["failures"] == 0
    return lines


@pytest.mark.parametrize(
    ("script", "flags", "outcomes"),
    [
        ("signals", ("--jobs", "synthesize"), {"killed", "left"}),
        ("disk_full", ("--jobs", "synthesize", "--faults", "limit"), {"refused"}),
        ("two_runs", ("--jobs", "synthesize"), {"refused"}),
        ("clock", ("--jobs", "synthesize", "--rounds", "2"), {"finished"}),
        ("damage", ("--jobs", "crop", "--seed", "3"), {"finished", "refused"}),
    ],
)
def test_a_command_that_is_struck_ends_as_if_nothing_had_happened(
    world, script, flags, outcomes
):
    *lines, summary = strike(world, script, *flags)
    assert all(line["ok"] for line in lines)
    assert summary["faults"] > 0
    assert set(summary["outcomes"]) - {"finished before"} <= outcomes


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        ("disk_full", ("--faults", "disk")),
        ("read_only", ("--faults", "output")),
    ],
)
def test_a_disk_that_is_full_or_read_only_is_told_and_gone_on_from(
    world, may_mount, script, flags
):
    *lines, _ = strike(world, script, "--jobs", "synthesize", *flags)
    assert {line["outcome"] for line in lines} == {"refused"}
    assert all(line["equal"] for line in lines)
