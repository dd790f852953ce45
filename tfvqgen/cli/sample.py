r"""Draws cells for localizations and seeds from a trained model.

  python -m tfvqgen sample --model runs/first --output cells \
      --labels "Golgi apparatus,Mitochondria" --num_per_label 16

The model is a workdir of train.py, or a folder that export.py made. --labels takes
names of the model's vocabulary, separated by commas; several joined by | are one
cell's, and `any` asks for a cell of no particular label. Without --labels every label
is drawn.

The same label and seed give the same cell, whatever else is drawn beside it. A
temperature below 1 and a top_p below 1 give more typical and less varied cells;
guidance above 0 makes the labels show more, at the price of a second pass.

The output folder gets every channel of every cell without loss (images/), pictures to
look at (composites/), samples.csv, a table of crops that can be given to
`python -m data_prep shard --crops cells/samples.csv`, and samples.png, a sheet with a
row a label: composites, then the protein alone. Every file says within that it is
generated, by which model, for which label and from which seed.
"""

from tfvqgen.cli.drawing import add_drawing_flags, drawing_flags
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--model", required=True, help="a workdir, or an export")
    add_request_flags(parser)


def add_request_flags(parser) -> None:
    """Adds the flags that say which cells are wanted, and where."""
    parser.add_argument("--output", required=True, help="a new folder")
    parser.add_argument(
        "--overwrite", action="store_true", help="remove another request's cells there"
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="NAMES",
        help="names, separated by commas; joined by | they are one cell's; any: none "
        "(every label if not given)",
    )
    parser.add_argument("--num_per_label", type=int, default=8, help="cells a label")
    parser.add_argument("--seed", type=int, default=0, help="of each label's first")
    add_drawing_flags(parser)
    parser.add_argument(
        "--batch_size", type=int, default=16, help="cells drawn at a time"
    )


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from tfvqgen.generation.load import open_source

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
        **drawing_flags(args),
    )
    sheet = write_samples(source, request, args.output, size, args.overwrite)
    print(f"samples: {sheet}")
