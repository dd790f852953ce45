"""Fault injection: training is killed, runs out of disk space, or loses a worker.

Each case trains the autoencoder twice on the same data with the same flags: one run is
left alone, the other one is disturbed and then run again until it finishes. Every
variable of the last checkpoint (weights, codebooks, optimizer, step, running sums) must
be equal bit for bit, and so must every line of metrics except its speed. The cases, one
JSON line each:

- `kill`: SIGKILL at `--rounds` random moments, from start-up to the end;
- `full_disk`: a limit on the size of files makes the write of a checkpoint fail; the
  command must end with exit status 2 and one sentence;
- `lost_worker`: of two workers (MultiWorkerMirroredStrategy) on this machine one is
  killed after the first checkpoint; the other one must end by itself.
"""

import argparse
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT = 600
SMALL = (
    "hidden=16 residual_width=8 num_embeddings=32 embedding_dim=8 batch_size=8 "
    "quantize_after=10 bottom_dropout=0.1 log_every=7 validate_every=20 "
    "checkpoint_every=5"
)


def main() -> None:
    measures = {"kill": kill, "full_disk": full_disk, "lost_worker": lost_worker}
    flags = case.parser(__doc__)
    flags.add_argument("--cases", nargs="+", choices=measures, default=list(measures))
    flags.add_argument("--rounds", type=int, default=10, help="Number of kills.")
    flags.add_argument("--steps", type=int, default=400, help="Training steps.")
    args = flags.parse_args()
    case.import_tensorflow(args.threads)
    from benchmarks import image_shards

    images = image_shards.made_up_images(200, 64, 4, args.seed)
    splits = {"train": images[:168], "validation": images[168:]}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        image_shards.write(data, splits)
        for name in args.cases:
            found = measures[name](Path(folder, name), data, args)
            case.write({"case": name, **found}, args)


def kill(folder: Path, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    begun = time.monotonic()
    finish(start(folder / "alone", data, args))
    seconds = time.monotonic() - begun
    rng = random.Random(args.seed)
    steps = []
    for _ in range(args.rounds):
        process = start(folder / "disturbed", data, args)
        if rng.random() < 0.7:
            # The other processes may be killed while they start up.
            wait_for_checkpoint(process, folder / "disturbed")
        time.sleep(rng.uniform(0, seconds / args.rounds))
        process.send_signal(signal.SIGKILL)
        process.wait()
        saved = checkpoints(folder / "disturbed")
        steps.append(saved[-1][0] if saved else 0)
    finish(start(folder / "disturbed", data, args))
    return {"last_checkpoint_at_each_kill": steps, **comparison(folder)}


def full_disk(folder: Path, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    finish(start(folder / "alone", data, args))
    _, path = checkpoints(folder / "alone")[-1]
    limit = Path(f"{path}.data-00000-of-00001").stat().st_size // 2

    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = start(folder / "disturbed", data, args, prepare=limit_files)
    process.wait(TIMEOUT)
    message = last_message(folder).replace(str(folder), "")
    finish(start(folder / "disturbed", data, args))
    found = {"exit_status": process.returncode, "message": message}
    return found | comparison(folder)


def lost_worker(folder: Path, data: Path, args: argparse.Namespace) -> dict[str, Any]:
    for worker in start_workers(folder / "alone", data, args):
        finish(worker)
    first, second = start_workers(folder / "disturbed", data, args)
    wait_for_checkpoint(first, folder / "disturbed")
    second.send_signal(signal.SIGKILL)
    second.wait()
    begun = time.monotonic()
    first.wait(TIMEOUT)
    seconds = time.monotonic() - begun
    message = last_message(folder)
    for worker in start_workers(folder / "disturbed", data, args):
        finish(worker)
    return {
        "exit_status_of_the_other": first.returncode,
        "message": message,
        "seconds_until_the_other_ended": round(seconds, 1),
        **comparison(folder),
    }


def start(
    workdir: Path, data: Path, args: argparse.Namespace, *, prepare=None, **environment
) -> subprocess.Popen:
    """Starts training in a process of its own."""
    strategy = "multi_worker" if environment else "one_device"
    workdir.parent.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "train.py",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        "--preset=demo",
        "--stage=vqvae",
        f"--strategy={strategy}",
        f"--steps={args.steps}",
        *(f"--set=vqvae.{override}" for override in SMALL.split()),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        # A file, since nobody reads a pipe while the other worker runs.
        stderr=open(f"{workdir}.log", "a"),
        preexec_fn=prepare,
    )


def start_workers(
    workdir: Path, data: Path, args: argparse.Namespace
) -> list[subprocess.Popen]:
    """Starts two workers of a new cluster on this machine."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{s.getsockname()[1]}" for s in sockets]
    for opened in sockets:
        opened.close()
    workers = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        workers.append(start(workdir, data, args, TF_CONFIG=config))
    return workers


def finish(process: subprocess.Popen) -> None:
    """Waits until training has ended without an error."""
    if process.wait(TIMEOUT):
        raise RuntimeError(f"training failed with exit status {process.returncode}")


def last_message(folder: Path) -> str:
    """Returns the last line that the disturbed run wrote to stderr."""
    lines = (folder / "disturbed.log").read_text().strip().splitlines()
    return lines[-1][:300] if lines else ""


def checkpoints(workdir: Path) -> list[tuple[int, str]]:
    """Returns steps and paths of the autoencoder's checkpoints, oldest first."""
    from tfvqgen.training.checkpoints import saved_checkpoints

    return saved_checkpoints(workdir / "vqvae" / "checkpoints")


def wait_for_checkpoint(process: subprocess.Popen, workdir: Path) -> None:
    """Waits until the process has written a checkpoint, or has ended."""
    before = checkpoints(workdir)
    while process.poll() is None and checkpoints(workdir) == before:
        time.sleep(0.01)


def comparison(folder: Path) -> dict[str, Any]:
    """Compares what both runs have left."""
    alone, disturbed = (saved_values(folder / n) for n in ("alone", "disturbed"))
    different = [
        name
        for name in sorted(alone.keys() | disturbed.keys())
        if not np.array_equal(alone.get(name), disturbed.get(name))
    ]
    equal = metrics(folder / "alone") == metrics(folder / "disturbed")
    return {"variables_that_differ": different, "metrics_equal": equal}


def saved_values(workdir: Path) -> dict[str, np.ndarray]:
    """Reads all variables of the last checkpoint."""
    import tensorflow as tf

    _, path = checkpoints(workdir)[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


def metrics(workdir: Path) -> list[dict[str, Any]]:
    """Reads the lines of metrics without their speed."""
    from tfvqgen.training.metrics_log import read_metrics

    lines = read_metrics(workdir / "vqvae" / "metrics.jsonl")
    return [line | {"images_per_second": None} for line in lines]


if __name__ == "__main__":
    with command_line.guard():
        main()
