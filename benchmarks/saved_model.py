"""Speed and size of an exported model, relative to the models that it was made from.

Models of a preset with random weights are exported and loaded as a server loads them.
The export and the models in process (the cached sampler in its own graph) generate the
same cells, alternating: `ratio` is the median over the rounds of the ratio of their
seconds. `size_ratio` is the size of the export over that of its weights. Loading and
the first request are timed in the process that `python -m tfvqgen verify` uses, which
has no Keras; each is the best of `--loads`. The output is one JSON line.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from benchmarks.case import median
from tfvqgen import Config, command_line

NUM_LABELS = 24


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--preset", default="hpa128")
    flags.add_argument("--batch_size", type=int, default=16)
    flags.add_argument("--rounds", type=int, default=7)
    flags.add_argument("--loads", type=int, default=3)
    args = flags.parse_args()
    case.import_tensorflow(args.threads)
    case.write(compare(args), args)


def compare(args: argparse.Namespace) -> dict[str, Any]:
    from tfvqgen.export.export import export_generator
    from tfvqgen.export.verify import verify
    from tfvqgen.generation.saved_model import SavedModel

    generator = random_generator(args.preset, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = export_generator(generator, folder)
        size = sum(x.stat().st_size for x in Path(path).rglob("*") if x.is_file())
        loads = [verify(path, only="times")["metrics"] for _ in range(args.loads)]
        model = SavedModel(path)
        measured = sampling(model, generator, args) | cpp_loader(path, model)
    weights = loads[0]["weight_bytes"]
    return {
        "case": "saved_model",
        **measured,
        "bytes": size,
        "weight_bytes": weights,
        "size_ratio": round(size / weights, 4),
        "load_seconds": min(x["load_seconds"] for x in loads),
        "first_request_seconds": min(x["first_request_seconds"] for x in loads),
    }


def sampling(model, generator, args: argparse.Namespace) -> dict[str, Any]:
    """Generates the same cells both ways, alternating."""
    rng = np.random.default_rng(args.seed)
    classes = rng.integers(NUM_LABELS, size=args.batch_size)
    labels = np.eye(NUM_LABELS, dtype=np.float32)[classes]
    ones = np.ones(args.batch_size, np.float32)
    request = (labels, np.arange(args.batch_size), ones, ones, 0 * ones)
    runs = {
        "saved_model": lambda: model.generate(*request),
        "in_process": lambda: [x.numpy() for x in generator.generate(*request)],
    }
    made = {name: run() for name, run in runs.items()}
    times = case.alternate(runs, args.rounds)
    seconds = {name: wall[:, 0] for name, wall in times.items()}
    same = np.all(made["saved_model"][2] == made["in_process"][2], axis=(1, 2))
    return {
        "saved_model_seconds": median(seconds["saved_model"]),
        "in_process_seconds": median(seconds["in_process"]),
        "ratio": median(seconds["saved_model"] / seconds["in_process"]),
        "rows_with_equal_codes": int(same.sum()),
    }


def cpp_loader(path: Path, model) -> dict[str, Any]:
    """Generates a few cells in C++, too, if there is a compiler."""
    from benchmarks.cpp_loader.build import build, draw

    rows = 2
    with tempfile.TemporaryDirectory() as folder:
        program = build("g++", Path(folder))
        if program is None:
            print("no C++ compiler: its codes were not compared", file=sys.stderr)
            return {}
        codes, seconds = draw(program, path, rows)
    ones = np.ones(rows, np.float32)
    expected = model.ask(
        "generate",
        class_id=np.arange(rows, dtype=np.int32),
        seed=np.arange(rows),
        temperature=ones,
        top_p=ones,
        guidance=0 * ones,
    )
    equal = [
        np.array_equal(value.reshape(-1), expected[name].reshape(-1))
        for name, value in codes.items()
    ]
    return {"cpp_codes_equal": all(equal), **seconds}


def random_generator(preset: str, seed: int):
    """Returns a generator of untrained models of a preset."""
    import keras

    from tfvqgen.generation.generator import Generator
    from tfvqgen.generation.model_info import ModelInfo
    from tfvqgen.models import VQVAE2, PixelSNAIL

    config = Config.from_preset(preset).settled(num_labels=NUM_LABELS)
    keras.utils.set_random_seed(seed)
    models = [VQVAE2(config.vqvae), PixelSNAIL(config.top), PixelSNAIL(config.bottom)]
    for model in models:
        model.build()
    channels = ("red", "green", "blue", "yellow")
    info = ModelInfo(
        preset=preset,
        labels=tuple(f"label {i}" for i in range(NUM_LABELS)),
        channels=channels,
        display={name: name for name in channels[:3]},
        dtype="uint8",
        image_shape=config.vqvae.image_shape,
        top_shape=config.vqvae.top_shape,
        bottom_shape=config.vqvae.bottom_shape,
        num_embeddings=config.vqvae.num_embeddings,
        pixel_size=None,
        credit="none: random weights",
        steps={"vqvae": 0, "top": 0, "bottom": 0},
        fingerprints={},
    )
    return Generator(info, *models)


if __name__ == "__main__":
    with command_line.guard():
        main()
