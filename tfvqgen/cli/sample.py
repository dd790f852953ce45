r"""Generates cells for localizations and seeds with a trained model.

  python -m tfvqgen sample --model runs/first --output cells \
      --labels "Golgi apparatus,Mitochondria" --num_per_label 16

The model is a workdir of train.py or a folder of export.py. --labels takes names of the
model's vocabulary, separated by commas. Several labels joined by | belong to the same
cell, and `any` asks for a cell without a particular label. Without --labels, cells of
every label are generated.

The same label and seed give the same cell in any batch.

The output folder contains every channel of every cell as a lossless image (images/),
composites (composites/), samples.csv, a table of crops which `python -m data_prep shard
--crops cells/samples.csv` reads, and samples.png, a sheet with one row for each label:
composites, then the protein alone. The metadata of every file says that the cell is
generated, by which model, for which label and from which seed.
"""

import functools

from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    parser.add_argument(
        "--model", required=True, help="Workdir of train.py or folder of export.py."
    )
    add_request_flags(parser)


def add_request_flags(parser) -> None:
    """Adds the flags that say which cells are wanted, and where."""
    add = parser.add_argument
    add("--output", required=True, help="New output folder.")
    text = "Remove the cells of another request from the output folder."
    add("--overwrite", action="store_true", help=text)
    add(
        "--labels",
        nargs="+",
        metavar="NAMES",
        help="Names of labels, separated by commas. Labels joined by | belong "
        "to the same cell; any asks for a cell without label. By default "
        "cells of every label are generated.",
    )
    add("--num_per_label", type=int, default=8, help="Number of cells for each label.")
    add("--seed", type=int, default=0, help="Seed of the first cell of each label.")
    add_sampling_flags(parser)
    text = "Number of cells generated at the same time."
    add("--batch_size", type=int, default=16, help=text)


def add_sampling_flags(parser) -> None:
    """Adds the flags of the sampling parameters, which several commands have."""
    add = functools.partial(parser.add_argument, type=float)
    add(
        "--temperature",
        default=1.0,
        help="Sampling temperature, above 0. Values below 1 give more typical "
        "and less varied cells.",
    )
    add(
        "--top_p",
        default=1.0,
        help="Nucleus sampling: share of the probability that is kept, above 0 "
        "and at most 1; 1 disables it.",
    )
    add(
        "--guidance",
        default=0.0,
        help="Guidance strength, 0 or more; 0 disables guidance. Larger values "
        "show the labels more clearly with less variety.",
    )


def sampling_flags(args) -> dict[str, float]:
    """Returns the values of the flags of :func:`add_sampling_flags` by name."""
    return {x: getattr(args, x) for x in ("temperature", "top_p", "guidance")}


def run(args) -> None:
    import_tensorflow()
    from tfvqgen.generation import open_source

    write(open_source(args.model), args)


def write(source, args) -> None:
    """Writes what the flags of :func:`add_request_flags` ask for."""
    from tfvqgen.errors import require_in_range
    from tfvqgen.generation.request import Request, parse_label_sets
    from tfvqgen.generation.samples import write_samples

    size, most = args.batch_size, source.model_info.max_rows
    require_in_range("batch_size", size, 1 <= size <= most, f"1 to {most}")
    request = Request(
        label_sets=parse_label_sets(args.labels, source.model_info.labels),
        num_per_label=args.num_per_label,
        seed=args.seed,
        **sampling_flags(args),
    )
    sheet = write_samples(source, request, args.output, size, args.overwrite)
    print(f"samples: {sheet}")
