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
from data_prep.commands import require_limits
from data_prep.labels import DEFAULT_VOCABULARY, Vocabulary, load_vocabulary
from tfvqgen.errors import UserError, require_package
from tfvqgen.files import exclusive, read_json, remove_temporary_files, write_json

_SETTINGS = "synthetic.json"
# Flags of crops and of fields, with their defaults.
_CROP_FLAGS = {"size": 128}
_FIELD_FLAGS = {"field_size": 512, "defects": 0.25}


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--output", required=True, help="Output folder.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--num_cells", type=int, help="Number of synthetic crops.")
    text = "Number of synthetic fields, instead of crops."
    what.add_argument("--fields", type=int, help=text)
    add(
        "--size",
        type=int,
        help="Side of a crop in pixels, an even number from 16 to 1024; a crop "
        "always shows 41 micrometres. Defaults to 128.",
    )
    add(
        "--field_size",
        type=int,
        help="Side of a field in pixels, from 128 to 4096; a field always "
        "shows 164 micrometres. Defaults to 512, as in Kaggle 2018.",
    )
    text = "Share of the fields with a planted defect, from 0 to 1. Defaults to 0.25."
    add("--defects", type=float, help=text)
    text = "Random seed. The same seed gives the same bytes."
    add("--seed", type=int, default=0, help=text)
    add(
        "--vocabulary",
        default=DEFAULT_VOCABULARY,
        help="Labels of the cells: hpa24, kaggle2018, or a text file with "
        "some labels of kaggle2018, one on each line.",
    )
    text = "Number of processes. Defaults to the number of cores, here %(default)s."
    add("--workers", type=int, default=processes.num_cores(), help=text)


def run(args) -> None:
    """Runs the command."""
    _check_flags(args)
    from data_prep.synthetic import synthetic_folders

    vocabulary = _known_labels(args.vocabulary)
    is_fields = args.fields is not None
    names = ("fields", *_FIELD_FLAGS) if is_fields else ("num_cells", *_CROP_FLAGS)
    settings = {name: getattr(args, name) for name in (*names, "seed")}
    settings["vocabulary"] = list(vocabulary)
    folder = Path(args.output)
    table = folder / ("train.csv" if is_fields else "crops.csv")
    with exclusive(folder, "the folder for synthetic data"):
        if _is_finished(folder, table, settings):
            print(f"already there: {table}")
            return
        for name in ("", "images", *synthetic_folders.FIELD_FOLDERS):
            remove_temporary_files(folder / name)
        if is_fields:
            contents = args.fields, vocabulary, args.field_size, args.defects
            write = synthetic_folders.write_field_folder
        else:
            contents = args.num_cells, vocabulary, args.size
            write = synthetic_folders.write_crop_folder
        write(folder, args.seed, *contents, args.workers)
    print(f"synthetic data: {table}")


def _check_flags(args) -> None:
    """Sets the defaults of crops or fields, and refuses the flags of the other."""
    own, others, what = _CROP_FLAGS, _FIELD_FLAGS, "num_cells"
    if args.fields is not None:
        own, others, what = others, own, "fields"
    for name in others:
        if (value := getattr(args, name)) is not None:
            raise UserError(
                f"a flag that does not apply: expected {' or '.join(own)} with {what}. "
                f"Received: {name}={value}"
            )
    for name, default in own.items():
        if getattr(args, name) is None:
            setattr(args, name, default)
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


def _known_labels(name: str) -> tuple[str, ...]:
    """Returns the labels of a vocabulary by the names that the recipes have."""
    from data_prep.synthetic.proteins import RECIPES

    known, vocabulary = Vocabulary("recipes", tuple(RECIPES)), load_vocabulary(name)
    found = {label: known.find(label) for label in vocabulary.labels}
    unknown = [label for label, index in found.items() if index is None]
    if unknown:
        raise UserError(
            f"a label cannot be drawn: expected labels of {', '.join(RECIPES)}. "
            f"Received: {', '.join(unknown)} in vocabulary {name}"
        )
    return tuple(known.labels[index] for index in found.values())


def _is_finished(folder: Path, table: Path, settings: dict) -> bool:
    """Writes the settings; returns whether the folder has these data already.

    Raises:
        UserError: It has other data.
    """
    path = folder / _SETTINGS
    same = path.exists() and read_json(path) == settings
    if not same and (path.exists() or table.exists()):
        raise UserError(
            "the folder contains other data: expected a new folder, or the flags in "
            f"its {_SETTINGS}. Received: output={folder}"
        )
    if not same:
        write_json(path, settings)
    return table.exists()
