"""Draws cells for localizations and seeds from a trained model.

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
look at (composites/), samples.csv, which `python -m data_prep shard` reads like a table
of crops, and samples.png, a sheet with a row a label. Every file says within that it is
generated, by which model, for which label and from which seed.
"""

from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--model", required=True, help="a workdir, or an export")
    parser.add_argument("--output", required=True, help="a new folder")
    add_request_flags(parser)


def add_request_flags(parser) -> None:
    """Adds the flags that say which cells are wanted."""
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="NAMES",
        help="names, separated by commas; joined by | they are one cell's; any: none "
        "(every label if not given)",
    )
    parser.add_argument("--num_per_label", type=int, default=8, help="cells a label")
    parser.add_argument("--seed", type=int, default=0, help="of each label's first")
    parser.add_argument("--temperature", type=float, default=1.0, help="above 0")
    parser.add_argument(
        "--top_p", type=float, default=1.0, help="above 0, at most 1 (off)"
    )
    parser.add_argument("--guidance", type=float, default=0.0, help="from 0 (off) on")
    parser.add_argument(
        "--batch_size", type=int, default=16, help="cells drawn at a time"
    )


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from tfvqgen.serving.open_source import open_source

    write(open_source(args.model), args)


def write(source, args) -> None:
    """Writes what the flags of :func:`add_request_flags` ask for."""
    from tfvqgen.errors import UserError
    from tfvqgen.generation.request import Request, parse_label_sets
    from tfvqgen.generation.samples import write_samples

    most = source.about.max_rows
    if not 1 <= args.batch_size <= most:
        raise UserError(
            f"batch_size is out of range: expected 1 to {most}. "
            f"Received: batch_size={args.batch_size}"
        )
    request = Request(
        label_sets=parse_label_sets(args.labels, source.about.labels),
        num_per_label=args.num_per_label,
        seed=args.seed,
        temperature=args.temperature,
        top_p=args.top_p,
        guidance=args.guidance,
    )
    print(f"samples: {write_samples(source, request, args.output, args.batch_size)}")
