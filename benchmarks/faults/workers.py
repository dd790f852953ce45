"""Trains with two workers on this machine, and strikes one of them or both.

First without a fault: two workers against one process on the same global batch, the
largest difference between any two values of the checkpoints beside how far training
moved them. Then faults: a worker is killed, or one or both are told to end (SIGTERM),
some time after a checkpoint; the line says what became of the other. Both are started
again, and must end as the two that nothing had happened to, bit for bit.
"""

import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import case
from benchmarks.faults import jobs, process
from benchmarks.faults.results import last_step, results
from benchmarks.faults.world import World

NAME = "vqvae"
STEP = "step/.ATTRIBUTES/VARIABLE_VALUE"
FAULTS = {
    "SIGKILL of the second": (signal.SIGKILL, (1,)),
    "SIGKILL of the first": (signal.SIGKILL, (0,)),
    "SIGTERM to the second": (signal.SIGTERM, (1,)),
    "SIGTERM to the first": (signal.SIGTERM, (0,)),
    "SIGTERM to both": (signal.SIGTERM, (0, 1)),
}


def main() -> None:
    parser = case.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=len(FAULTS))
    parser.add_argument("--world", type=Path, help="as of the other scripts")
    args = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        world = World(args.world or Path(scratch, "world"))
        two = Path(scratch, "two")
        world.begin(NAME, two)
        for ended in wait(start(two)):
            if ended.status:
                raise RuntimeError(f"workers failed by themselves: {ended.output}")
        case.write(comparison(world.folder / "whole", two), args.output)
        for number in range(args.rounds):
            fault = list(FAULTS)[number % len(FAULTS)]
            line = strike(world, Path(scratch, "round"), two, *FAULTS[fault])
            case.write({"fault": fault, **line}, args.output)
            failures += not line["ok"]
            shutil.rmtree(Path(scratch, "round"))
    sys.exit(1 if failures else 0)


def start(folder: Path) -> list[process.Command]:
    """Starts both workers of a new cluster."""
    ports = [free_port(), free_port()]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    words = (*jobs.JOBS[NAME].words, "--strategy=multi_worker")

    def worker(index: int) -> process.Command:
        task = {"type": "worker", "index": index}
        text = json.dumps({"cluster": cluster, "task": task})
        return process.Command(words, folder, lambda: os.environ.update(TF_CONFIG=text))

    return [worker(0), worker(1)]


def wait(workers: list[process.Command]) -> list[process.Ended]:
    """Waits for both, whichever ends first."""
    ended: list[process.Ended | None] = [None] * len(workers)
    while None in ended:
        for index, worker in enumerate(workers):
            ended[index] = ended[index] or worker.wait(0.05)
    return ended


def comparison(one: Path, two: Path) -> dict[str, Any]:
    """Compares the checkpoints of one process and of two workers."""
    import numpy as np

    found = [process.in_child(values, folder) for folder in (one, two)]
    differences = {
        name: float(np.abs(value - found[1][name]).max(initial=0))
        for name, value in found[0].items()
        if value.dtype.kind == "f"
    }
    worst = max(differences, key=differences.get)
    model = [name for name in differences if name.startswith("model/")]
    return {
        "case": "two workers against one process",
        "variables": len(found[0]),
        "same_names": found[0].keys() == found[1].keys(),
        "largest_difference_of_weights": max(differences[name] for name in model),
        "largest_difference": differences[worst],
        "in": worst,
        "steps_equal": bool(found[0][STEP] == found[1][STEP]),
    }


def values(folder: Path) -> dict[str, Any]:
    """Reads all variables of the last checkpoint."""
    import tensorflow as tf

    from tfvqgen.training.checkpoints import saved_checkpoints

    _, path = saved_checkpoints(folder / jobs.JOBS[NAME].checkpoints)[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


def strike(
    world: World, folder: Path, two: Path, number: int, which: tuple[int, ...]
) -> dict[str, Any]:
    """Strikes workers after the first checkpoint and lets new ones finish."""
    job = world.begin(NAME, folder)
    workers = start(folder)
    while not last_step(job, folder):
        if any(worker.wait(0.01) for worker in workers):
            raise RuntimeError("a worker ended before it could be struck")
    for index in which:
        workers[index].send(number)
    begun = time.monotonic()
    ended = wait(workers)
    seconds = time.monotonic() - begun
    after = last_step(job, folder)
    again = wait(start(folder))
    expected = process.in_child(results, job, two)
    different = expected != process.in_child(results, job, folder)
    in_order = ("finished", "left", "killed", "refused")
    return {
        "workers": [each.outcome for each in ended],
        "sentences": [each.sentence for each in ended],
        "seconds_until_both_had_ended": round(seconds, 1),
        "checkpoint": after,
        "resumed": [each.outcome for each in again],
        "equal": not different,
        "ok": not different and all(each.outcome in in_order for each in ended),
    }


def free_port() -> int:
    """Returns a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


if __name__ == "__main__":
    main()
