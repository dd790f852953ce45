"""Learns features of the crops without labels, by paired cell inpainting.

A network (Lu et al. 2018) sees a cell with its protein and the marker channels of
another cell of the same group, and predicts the protein of that cell. A group is one
antibody or well with all its fields. The command writes beside crops.csv

  inpainting/      checkpoints, metrics.jsonl, config.json, pairs.png with examples, and
                   extractor/, a SavedModel that computes the same features
  features.npy     float32, one row for each crop, also for rejected crops
  features.json    the ids of these crops, and hashes of crops and network
  umap.csv         the cluster and the UMAP coordinates of each crop, for `screen`
  umap.json        the settings of clusters and coordinates

The network is trained on accepted crops only. With the defaults, training takes about a
quarter of an hour on two cores. On a GPU use the network of the paper: --width 1
--steps 50000 --set learning_rate=1e-4 --set final_learning_rate=1. Run the same command
again to continue, also with more --steps. The command needs the extra `screen`.

For example:

  python -m data_prep embed --crops crops
  python -m data_prep embed --crops crops --protein gfp --markers dapi,tubulin,er
"""

from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--crops", required=True, help="Folder with crops.csv.")
    parser.add_argument(
        "--steps", type=int, help="Number of training steps. Defaults to 2000."
    )
    parser.add_argument(
        "--width",
        type=float,
        help="Width multiplier for the number of filters of all layers. "
        "Defaults to 0.25.",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="Random seed for weight initialization, pairs and the held-out "
        "groups. Defaults to 0.",
    )
    parser.add_argument(
        "--protein", help="Channel that the network predicts. Defaults to green."
    )
    parser.add_argument(
        "--markers",
        help="Channels that the network sees of both cells, separated by "
        "commas. Defaults to blue,red; blue,red,yellow adds the "
        "endoplasmic reticulum.",
    )
    parser.add_argument(
        "--min_group",
        type=int,
        help="Smallest number of cells in a group from which pairs are made. "
        "Defaults to 6.",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Value of another training key, for example batch_size=64. May be "
        "repeated.",
    )
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored"),
        help="Devices for training: the first one, all devices of this "
        "machine, or automatic.",
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
