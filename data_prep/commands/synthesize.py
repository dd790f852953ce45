"""Generates synthetic cells: crops, or whole fields with their true masks.

With --num_cells the output folder contains crops.csv, crops.json and images/, in the
same form as real crops, and contact_sheet.png. With --fields it contains fields in the
layout of Kaggle 2018 (train.csv, train/, fields.json), the true masks (masks/nuclei and
masks/cells), truth.csv with the contents of each field, and defects.csv with the
defects planted in some of the fields. synthetic.json contains the settings.

The same seed gives the same bytes with any number of workers. After an interruption run
the same command again: it starts over. A finished folder is not changed.
"""

from pathlib import Path

from data_prep import processes
from data_prep.commands.limits import require_limits
from data_prep.labels import DEFAULT_VOCABULARY, Vocabulary, load_vocabulary
from tfvqgen.errors import UserError, require_package
from tfvqgen.files import exclusive

_SETTINGS = "synthetic.json"
_SHEET = "contact_sheet.png"
_PER_LABEL = 6
# Flags of one kind of data alone, with their defaults.
_OF_CROPS = {"size": 128}
_OF_FIELDS = {"field_size": 512, "defects": 0.25}


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--output", required=True, help="Output folder.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--num_cells", type=int, help="Number of crops.")
    what.add_argument(
        "--fields", type=int, help="Number of whole fields, instead of crops."
    )
    parser.add_argument(
        "--size",
        type=int,
        help="Side of a crop in pixels, an even number from 16 to 1024; a crop "
        "always shows 41 micrometres. Defaults to 128.",
    )
    parser.add_argument(
        "--field_size",
        type=int,
        help="Side of a field in pixels, from 128 to 4096; a field always "
        "shows 164 micrometres. Defaults to 512, as in Kaggle 2018.",
    )
    parser.add_argument(
        "--defects",
        type=float,
        help="Share of the fields with a planted defect, from 0 to 1. Defaults "
        "to 0.25.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="Random seed. The same seed gives the same bytes.",
    )
    parser.add_argument(
        "--vocabulary",
        default=DEFAULT_VOCABULARY,
        help="Labels of the cells: hpa24, kaggle2018, or a text file with "
        "labels of kaggle2018, one on each line.",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=processes.num_cores(),
        help="Number of processes.",
    )


def run(args) -> None:
    """Runs the command."""
    _settle(args)
    _check(args)
    vocabulary = _labels(args.vocabulary)
    folder = Path(args.output)
    last_file = "crops.csv" if args.fields is None else "train.csv"
    with exclusive(folder, "the folder for synthetic data"):
        if _already_there(folder, last_file, _settings(args, vocabulary)):
            print(f"already there: {folder / last_file}")
            return
        _remove_leftovers(folder)
        try:
            if args.fields is None:
                _write_crops(args, folder, vocabulary)
            else:
                _write_fields(args, folder, vocabulary)
        finally:
            _remove_leftovers(folder)
    print(f"synthetic data: {folder / last_file}")


def _remove_leftovers(folder: Path) -> None:
    """Removes the temporary files of processes that were killed while writing."""
    for path in folder.rglob(".*.png.*"):
        path.unlink(missing_ok=True)


def _write_crops(args, folder: Path, vocabulary: tuple[str, ...]) -> None:
    from data_prep.synthetic import synthetic_folders

    (folder / "images").mkdir(exist_ok=True)
    tasks = synthetic_folders.plan_crops(
        folder, args.seed, args.num_cells, vocabulary, args.size
    )
    wells = _in_parallel(
        synthetic_folders.write_well,
        tasks,
        args.workers,
        "crop",
        [t.count for t in tasks],
    )
    rows = [row for well in wells for row in well]
    _write_sheet(folder, rows, vocabulary)
    synthetic_folders.finish_crops(folder, rows)


def _write_fields(args, folder: Path, vocabulary: tuple[str, ...]) -> None:
    from data_prep.synthetic import synthetic_folders

    for name in synthetic_folders.FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        synthetic_folders.FieldTask(
            str(folder), args.seed, index, vocabulary, args.field_size, args.defects
        )
        for index in range(args.fields)
    ]
    weights = [1] * len(tasks)
    truths = _in_parallel(
        synthetic_folders.write_field, tasks, args.workers, "field", weights
    )
    synthetic_folders.finish_fields(folder, truths)


def _write_sheet(folder: Path, rows, vocabulary: tuple[str, ...]) -> None:
    import numpy as np
    from PIL import Image

    from data_prep.images.sheet import pick_examples, write_sheet

    places = pick_examples([row.labels for row in rows], _PER_LABEL)
    examples = {}
    for label in vocabulary:
        # 8-bit RGBA is what Pillow reads exactly, without TensorFlow's start-up.
        files = [folder / rows[place].path for place in places.get(label, [])]
        examples[label] = [
            np.asarray(Image.open(file, formats=("PNG",))) for file in files
        ]
    write_sheet(folder / _SHEET, examples)


def _in_parallel(work, tasks, workers: int, unit: str, weights: list[int]) -> list:
    """Does `work` on every task in processes and returns the results in order."""
    from tqdm import tqdm

    results = []
    with tqdm(total=sum(weights), unit=unit, desc="drawing") as progress:
        done = processes.in_parallel(work, tasks, workers)
        for result, weight in zip(done, weights, strict=True):
            results.append(result)
            progress.update(weight)
    return results


def _settle(args) -> None:
    """Gives crops or fields their defaults, and refuses the flags of the other."""
    own, others = _OF_CROPS, _OF_FIELDS
    if args.fields is not None:
        own, others = others, own
    for name in others:
        if (value := getattr(args, name)) is not None:
            raise UserError(
                f"a flag of the other kind of data: expected {' or '.join(own)} beside "
                f"{'num_cells' if args.fields is None else 'fields'}. "
                f"Received: {name}={value}"
            )
    for name, default in own.items():
        if getattr(args, name) is None:
            setattr(args, name, default)


def _check(args) -> None:
    require_limits(
        args,
        {
            "num_cells": (1, 10_000_000),
            "fields": (1, 100_000),
            "size": (16, 1024),
            "field_size": (128, 4096),
            "seed": (0, 2**63 - 1),
            "workers": (1, 1024),
            "defects": (0, 1),
        },
    )
    if args.fields is None and args.size % 2:
        raise UserError(
            f"--size is odd: expected an even number. Received: size={args.size}"
        )
    require_package("scipy", "prep")


def _labels(name: str) -> tuple[str, ...]:
    """Returns the vocabulary's labels by the names that the recipes have."""
    from data_prep.synthetic.proteins import RECIPES

    drawn, vocabulary = Vocabulary("drawn", tuple(RECIPES)), load_vocabulary(name)
    found = {label: drawn.find(label) for label in vocabulary.labels}
    unknown = [label for label, index in found.items() if index is None]
    if unknown:
        raise UserError(
            f"a label cannot be drawn: expected labels of {', '.join(RECIPES)}. "
            f"Received: {', '.join(unknown)} in vocabulary {name}"
        )
    return tuple(drawn.labels[index] for index in found.values())


def _settings(args, vocabulary: tuple[str, ...]) -> dict:
    crops = ("num_cells", *_OF_CROPS)
    names = crops if args.fields is None else ("fields", *_OF_FIELDS)
    settings = {name: getattr(args, name) for name in (*names, "seed")}
    return {**settings, "vocabulary": list(vocabulary)}


def _already_there(folder: Path, last_file: str, settings: dict) -> bool:
    """Prepares the folder; returns whether it holds these very data already.

    Raises:
        UserError: It holds other data.
    """
    from tfvqgen.files import read_json, write_json

    path = folder / _SETTINGS
    same = path.exists() and read_json(path) == settings
    if not same and (path.exists() or (folder / last_file).exists()):
        raise UserError(
            "the folder holds other data: expected a new folder, or the flags that "
            f"{_SETTINGS} in it says. Received: output={folder}"
        )
    if not same:
        write_json(path, settings)
    return (folder / last_file).exists()
