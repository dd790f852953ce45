"""How fast crops become shards, and what a data set of the poster's size takes.

Distinct crops are drawn once (or given with --crops). The cases, one JSON line each:

- `codec`: what an image of them takes as PNG and raw: bytes, milliseconds to encode
  (numpy and zlib) and to decode (TensorFlow, one thread);
- `rate`: crops a second and core of the command `shard`, from crops.csv (whose PNGs go
  into the records as they are) and from SubCell's layout (channels in another order, so
  that every image is encoded anew). A core's second is one of processor time, of all
  threads, without the start of Python and TensorFlow;
- `poster`: --total crops, which are the distinct ones under new names (hard links, so
  that their files' bytes come from memory), through the commands `shard` and `train.py`
  as a user starts them: seconds until the shards are there and until the first training
  step is logged, and the largest memory of either process, for --total crops and for a
  twentieth of them.
"""

import argparse
import csv
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

ROOT = Path(__file__).resolve().parents[1]
CASES = ("codec", "rate", "poster")
ROUNDS = 5
TRAINING_STEPS = 200
# Enough network to train; how fast it learns is measured elsewhere.
SMALL = (
    "vqvae.hidden=16",
    "vqvae.residual_width=8",
    "vqvae.batch_size=16",
    "vqvae.log_every=1",
    "vqvae.validate_every=1000",
    "vqvae.validation_examples=64",
    "vqvae.warmup_steps=1",
)


def main() -> None:
    args = _flags().parse_args()
    case.import_tensorflow(1)
    measures = {"codec": codec, "rate": rate, "poster": poster}
    args.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        folder = args.crops or _drawn(Path(scratch) / "crops", args)
        for name in args.cases:
            for measured in measures[name](folder, Path(scratch), args):
                case.write({"case": f"sharding_{name}", **measured}, args.output)


def codec(folder: Path, scratch: Path, args) -> Iterator[dict[str, Any]]:
    """Compares the two ways to keep an image in a record."""
    import tensorflow as tf

    from tfvqgen.data import images

    del scratch
    paths = sorted((folder / "images").glob("*.png"))[: args.images]
    crops = [images.read_image(path) for path in paths]
    codecs: dict[str, tuple[Callable, Callable]] = {
        "png": (images.encode_png, lambda data: tf.io.decode_png(data, channels=0)),
        "raw": (lambda image: image.tobytes(), lambda d: tf.io.decode_raw(d, "uint8")),
    }
    for name, (encode, decode) in codecs.items():
        encoded, to_encode = _timed(encode, crops)
        _, to_decode = _timed(decode, encoded)
        yield {
            "codec": name,
            "bytes": round(float(np.mean([len(data) for data in encoded]))),
            "encode_milliseconds": round(1000 * to_encode, 3),
            "decode_milliseconds": round(1000 * to_decode, 3),
            "images": len(crops),
            "image_shape": list(crops[0].shape),
        }


def rate(folder: Path, scratch: Path, args) -> Iterator[dict[str, Any]]:
    """Measures crops a second of processor time."""
    from data_prep.labels import load_vocabulary
    from data_prep.layouts import read_fields
    from data_prep.shards import crop_source, shards
    from tfvqgen.data.crops import read_crops

    options = shards.ShardOptions(
        vocabulary=load_vocabulary("hpa24"),
        splits={"train": 0.8, "validation": 0.1, "test": 0.1},
    )
    subcell = scratch / "subcell"
    _link_as_subcell(folder, subcell)
    sources = {
        "crops.csv": lambda: crop_source.source_of_table(read_crops(folder)),
        "subcell": lambda: crop_source.source_of_layout(read_fields(subcell)),
    }
    for name, open_source in sources.items():
        rates = []
        for _ in range(args.rounds):
            output = scratch / "shards"
            started, wall = time.process_time(), time.perf_counter()
            info, _ = shards.write_dataset(open_source(), output, options)
            seconds = time.process_time() - started
            wall = time.perf_counter() - wall
            number = sum(split.num_examples for split in info.splits.values())
            rates.append((number / seconds, number / wall))
            shutil.rmtree(output)
        by_core, by_wall = zip(*rates, strict=True)
        yield {
            "source": name,
            "crops_per_core_second": round(float(np.median(by_core))),
            "slowest": round(min(by_core)),
            "fastest": round(max(by_core)),
            "crops_per_second": round(float(np.median(by_wall))),
            "crops": number,
            "rounds": args.rounds,
            "cores": len(os.sched_getaffinity(0)),
        }


def poster(folder: Path, scratch: Path, args) -> Iterator[dict[str, Any]]:
    """Runs the commands on very many crops, and on a twentieth of them."""
    for number in (args.total // 20, args.total):
        crops, shards = scratch / "many", scratch / "shards"
        workdir = scratch / "workdir"
        distinct = _link_many(folder, crops, number)
        command = ["-m", "data_prep", "shard", f"--crops={crops}"]
        sharded = _run([*command, f"--output={shards}", f"--num_shards={args.shards}"])
        trained = _train(shards, workdir)
        files = list(shards.glob("*.tfrecord"))
        yield {
            "crops": number,
            "distinct_crops": distinct,
            "shard_seconds": round(sharded.seconds, 1),
            "shard_memory_megabytes": sharded.megabytes,
            "crops_per_second": round(number / sharded.seconds),
            "seconds_to_first_step": round(trained.first_line, 1),
            "train_memory_megabytes": trained.megabytes,
            "train_steps": TRAINING_STEPS,
            "gigabytes": round(sum(file.stat().st_size for file in files) / 1e9, 2),
            "shards": len(files),
            "cores": len(os.sched_getaffinity(0)),
        }
        for path in (crops, shards, workdir):
            shutil.rmtree(path)


@dataclasses.dataclass(frozen=True)
class Run:
    """What a process took."""

    seconds: float
    megabytes: int
    first_line: float = 0.0


def _train(shards: Path, workdir: Path) -> Run:
    flags = [f"--data_dir={shards}", f"--workdir={workdir}", "--preset=hpa128"]
    flags += ["--stage=vqvae", f"--steps={TRAINING_STEPS}"]
    flags += [f"--set={override}" for override in SMALL]
    return _run(["train.py", *flags], workdir / "vqvae" / "metrics.jsonl")


def _run(command: list[str], awaited: Path | None = None) -> Run:
    """Runs Python; notes when `awaited` has its first line."""
    started, first_line = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        now = time.perf_counter() - started
        if not first_line and awaited and awaited.exists() and awaited.stat().st_size:
            first_line = now
        if pid:
            break
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Run(now, usage.ru_maxrss // 1024, first_line)


def _timed(function: Callable, items: list) -> tuple[list, float]:
    """Returns the results and the median seconds an item."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        results = [function(item) for item in items]
        seconds.append((time.perf_counter() - started) / len(items))
    return results, float(np.median(seconds))


def _drawn(folder: Path, args) -> Path:
    flags = [f"--output={folder}", f"--num_cells={args.distinct}", "--size=128"]
    command = ["-m", "data_prep", "synthesize", *flags, f"--seed={args.seed}"]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    return folder


def _link_many(folder: Path, target: Path, number: int) -> int:
    """Makes a folder of so many crops, each group again and again under new names."""
    from tfvqgen.data.crops import read_crops, write_crops

    source = read_crops(folder)
    (target / "images").mkdir(parents=True)
    rows = []
    for index in range(number):
        again, place = divmod(index, len(source.rows))
        row = source.rows[place]
        crop_id = f"{row.crop_id}-{again}"
        path = f"images/{crop_id}.png"
        os.link(source.image_path(row), target / path)
        changed = {"crop_id": crop_id, "path": path, "group": f"{row.group}-{again}"}
        rows.append(dataclasses.replace(row, **changed))
    write_crops(target, rows, channels=source.channels, credit=source.credit)
    return min(number, len(source.rows))


def _link_as_subcell(folder: Path, target: Path) -> None:
    """Makes a folder of the crops as SubCell names its; what they show is no matter."""
    from tfvqgen.data.crops import read_crops

    source = read_crops(folder)
    (target / "7").mkdir(parents=True)
    names = ("if_plate_id", "position", "sample", "cell_id", "locations", "antibody")
    with open(target / "metadata.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for index, row in enumerate(source.rows):
            writer.writerow((7, "A1", 1, index, ",".join(row.labels), row.group))
            name = f"7_A1_1_{index}_cell_image.png"
            os.link(source.image_path(row), target / "7" / name)


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--cases", nargs="+", choices=CASES, default=["codec", "rate"])
    flags.add_argument("--crops", type=Path, help="crops instead of drawn ones")
    flags.add_argument("--distinct", type=int, default=2000, help="crops to draw")
    flags.add_argument("--images", type=int, default=500, help="for the codecs")
    flags.add_argument("--rounds", type=int, default=3, help="of `rate`")
    flags.add_argument("--total", type=int, default=157_000, help="the poster's crops")
    flags.add_argument("--shards", type=int, default=16, help="a split")
    flags.add_argument(
        "--scratch",
        type=Path,
        default=Path("runs"),
        help="folder for what is made and removed again (about 7 GB for `poster`)",
    )
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
