"""Learns features of the crops without labels, by paired cell inpainting.

A network sees a cell with its protein, and the markers of another cell of the same
group, and paints that cell's protein. Groups are what the table says: one antibody or
well, across its fields. Beside crops.csv it leaves

  inpainting/      checkpoints, metrics.jsonl, config.json, pairs.png to look at, and
                   extractor/, the same features for other programs
  features.npy     float32, a row a crop (also of crops that are not accepted)
  features.json    which crops those are, and the hashes of what they were made by
  umap.csv         every crop's cluster and its place on a map, for `screen`
  umap.json        how those were made

The network learns from accepted crops alone. The defaults train in a quarter of an hour
or so on two cores; with a GPU take the paper's network: --width 1 --steps 50000
--set learning_rate=1e-4 --set final_learning_rate=1. Run again it goes on, also with
more --steps. Needs the extra `screen`.

Examples:
  python -m data_prep embed --crops crops
  python -m data_prep embed --crops crops --protein gfp --markers dapi,tubulin,er
"""

from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--crops", required=True, help="folder with crops.csv")
    parser.add_argument("--steps", type=int, help="training steps (2000)")
    parser.add_argument(
        "--width", type=float, help="multiplies the filters of all layers (0.25)"
    )
    parser.add_argument(
        "--seed", type=int, help="of weights, pairs and what is held out (0)"
    )
    parser.add_argument("--protein", help="the channel that is painted (green)")
    parser.add_argument(
        "--markers",
        help="the channels that both cells show, with commas between (blue,red); "
        "blue,red,yellow adds the endoplasmic reticulum",
    )
    parser.add_argument(
        "--min_group", type=int, help="fewest cells of a group that makes pairs (6)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another key of the training, e.g. batch_size=64; repeat for more",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored"),
        help="where to train",
    )


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from data_prep.embedding import projection
    from data_prep.embedding.feature_learning import embed
    from data_prep.screening.screening import open_screening

    projection.require_libraries()
    short = {name: getattr(args, name) for name in ("steps", "width", "min_group")}
    overrides = [
        f"{name}={value}" for name, value in short.items() if value is not None
    ]
    markers = args.markers
    embed(
        args.crops,
        overrides=[*overrides, *args.set],
        seed=args.seed,
        protein=args.protein,
        markers=None if markers is None else [m.strip() for m in markers.split(",")],
        strategy=args.strategy,
    )
    open_screening(args.crops, seed=args.seed)
