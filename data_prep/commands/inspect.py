"""Shows the contents of shards and checks every byte of them.

The command prints the number of crops of each label and split, compares the sha256 of
every shard, reads every record and names damaged ones, and writes a contact sheet with
one row of crops for each label.
"""

import sys
from pathlib import Path

from tfvqgen.command_line import import_tensorflow


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--data", required=True, help="Folder with dataset.json.")
    text = "File for the contact sheet. Defaults to <data>/contact_sheet.png."
    add("--output", help=text)


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from data_prep.shards import inspection
    from tfvqgen.data import schema
    from tfvqgen.data.dataset_info import read_info
    from tfvqgen.errors import DataError

    dataset = schema.Dataset(args.data, read_info(args.data))
    print(inspection.summary(dataset.info))
    print(inspection.count_table(dataset.info))
    sys.stdout.flush()
    problems = _damage(dataset) or inspection.disagreements(dataset)
    for problem in problems:
        print(f"damaged: {problem}", file=sys.stderr)
    if problems:
        raise DataError(
            f"the shards are damaged: expected what dataset.json describes. "
            f"Received: {len(problems)} problems in {args.data}, named above"
        )
    shards = sum(len(split.shards) for split in dataset.info.splits.values())
    print(f"checked  {shards} shards: sha256 and every record as dataset.json says")
    sheet = Path(args.output or dataset.folder / "contact_sheet.png")
    inspection.write_contact_sheet(dataset, sheet)
    print(f"contact sheet: {sheet}")


def _damage(dataset) -> list[str]:
    from tqdm import tqdm

    from tfvqgen.data.tfrecords import find_damage

    found = []
    total = sum(split.num_examples for split in dataset.info.splits.values())
    with tqdm(total=total, unit="record", desc="checking") as progress:
        for name, info in dataset.info.splits.items():
            if not info.num_examples:
                continue
            for damage in find_damage(dataset.split(name), True, progress.update):
                found.append(str(damage))
    return found
