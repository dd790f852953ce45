"""Learns features of the crops without labels, by paired cell inpainting.

A network (Lu et al. 2019) sees a cell with its protein and the marker channels of
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

from data_prep.cropping.crop_settings import names_of
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--crops", required=True, help="Folder with crops.csv.")
    add("--steps", type=int, help="Number of training steps. Defaults to 2000.")
    text = "Width multiplier for the filters of all layers. Defaults to 0.25."
    add("--width", type=float, help=text)
    text = "Random seed for initialization, pairs and held-out groups. Defaults to 0."
    add("--seed", type=int, help=text)
    add("--protein", help="Channel that the network predicts. Defaults to green.")
    add(
        "--markers",
        help="Channels that the network sees of both cells, separated by commas. "
        "Defaults to blue,red; blue,red,yellow adds the endoplasmic reticulum.",
    )
    text = "Least number of accepted cells in a group for training. Defaults to 6."
    add("--min_group", type=int, help=text)
    text = "Value of another training key, e.g. batch_size=64. May be repeated."
    add("--set", action="append", default=[], metavar="KEY=VALUE", help=text)
    add(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored"),
        help="Devices. one_device: the first GPU, else the CPU; mirrored: all GPUs; "
        "auto: mirrored if there are several GPUs, else one_device.",
    )


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from data_prep.embedding import projection
    from data_prep.embedding.feature_learning import embed
    from data_prep.screening.screening import open_screening

    projection.require_libraries()
    short = {name: getattr(args, name) for name in ("steps", "width", "min_group")}
    overrides = [f"{name}={x}" for name, x in short.items() if x is not None]
    embed(
        args.crops,
        overrides=[*overrides, *args.set],
        seed=args.seed,
        protein=args.protein,
        markers=None if args.markers is None else names_of(args.markers),
        strategy=args.strategy,
    )
    open_screening(args.crops, seed=args.seed)
