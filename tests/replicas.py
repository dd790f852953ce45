"""Training on one replica beside two, each in a process of its own."""

import subprocess
import sys

import numpy as np

from tests import support

REPLICAS = ("one", "two")


def runs_of(script, data, folder):
    """Runs ``script DATA {one,two} OUTPUT.npz`` for both; returns what they saved."""
    outputs = {replicas: folder / f"{replicas}.npz" for replicas in REPLICAS}
    processes = [
        subprocess.Popen(
            [sys.executable, script, data, replicas, output],
            cwd=support.ROOT,
            env=support.environment(),
        )
        for replicas, output in outputs.items()
    ]
    for process in processes:
        assert process.wait(timeout=300) == 0
    return {replicas: dict(np.load(output)) for replicas, output in outputs.items()}


def largest_difference(runs, prefix):
    """Returns the largest difference; of values above 1, over the largest value."""
    names = [name for name in runs["one"] if name.startswith(prefix)]
    assert names
    pairs = [(runs["one"][name], runs["two"][name]) for name in names]
    return max(
        np.abs(one - two).max() / max(1, np.abs(one).max()) for one, two in pairs
    )
