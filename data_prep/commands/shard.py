"""Turns a folder of crops into TFRecord shards, split by group.

The folder has crops.csv, or with --layout ready-made crops as somebody keeps them:
class folders (folder: <label>/<id>.png or <label>/<id>_<colour>.png), SubCell crops
(subcell), or any images that manifest.csv lists (manifest; docs/layouts.md has the
columns).

Crops that are not accepted, or whose labels all lie outside the vocabulary, are left
out and counted. Splits never share a group, and each gets its share of every label.
Run again after an interruption it starts over.
"""

from data_prep.cropping.crop_settings import names
from data_prep.labels import DEFAULT_VOCABULARY, vocabulary_names
from tfvqgen.command_line import import_tensorflow
from tfvqgen.data.dataset_info import LABEL_POLICIES


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--crops", required=True, help="folder with the crops")
    parser.add_argument(
        "--layout",
        choices=("folder", "subcell", "manifest"),
        help="how ready-made crops are kept (crops.csv if not given)",
    )
    parser.add_argument(
        "--channels",
        help="with --layout: those to keep, in order, with commas between",
    )
    parser.add_argument(
        "--decisions",
        metavar="FILE",
        help="review/decisions.csv of `screen --apply`: what to keep and to drop",
    )
    parser.add_argument("--output", required=True, help="new folder for the shards")
    parser.add_argument(
        "--vocabulary",
        default=DEFAULT_VOCABULARY,
        help=f"{', '.join(vocabulary_names())}, or a file with one label a line",
    )
    parser.add_argument(
        "--label_policy",
        default=LABEL_POLICIES[0],
        choices=LABEL_POLICIES,
        help="what a crop with several labels becomes",
    )
    parser.add_argument(
        "--min_count",
        type=int,
        default=0,
        help="take labels with fewer crops out of the vocabulary",
    )
    parser.add_argument(
        "--size", type=int, help="reduce crops to this side (their own if not given)"
    )
    parser.add_argument("--num_shards", type=int, default=8, help="shards a split")
    parser.add_argument(
        "--splits",
        default="train=0.8,validation=0.1,test=0.1",
        help="shares of the crops",
    )
    parser.add_argument("--seed", type=int, default=0, help="of splits and order")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace shards that are there"
    )


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from data_prep import labels
    from data_prep.shards import inspection, shards, splits
    from tfvqgen.errors import require_in_range

    for name, least in (("num_shards", 1), ("min_count", 0), ("size", 1)):
        value = getattr(args, name)
        fits = value is None or value >= least
        require_in_range(f"--{name}", value, fits, f"at least {least}")
    options = shards.ShardOptions(
        vocabulary=labels.load_vocabulary(args.vocabulary),
        splits=splits.parse_splits(args.splits),
        label_policy=args.label_policy,
        min_count=args.min_count,
        size=args.size,
        num_shards=args.num_shards,
        seed=args.seed,
    )
    source = _source(args)
    info, plan = shards.write_dataset(
        source, args.output, options, overwrite=args.overwrite
    )
    print(inspection.summary(info))
    print(inspection.count_table(info))
    for reason, count in plan.left_out.items():
        print(f"left out: {count} crops: {reason}")
    for label, count in plan.outside.items():
        print(f"outside the vocabulary: {label!r} of {count} crops")
    print(f"shards: {args.output}")


def _source(args):
    from data_prep.fields import refuse_output_inside
    from data_prep.layouts import read_fields
    from data_prep.screening.decisions import apply_to_crops
    from data_prep.shards import crop_source
    from tfvqgen.data.crops import read_crops
    from tfvqgen.errors import UserError

    if args.layout and args.decisions:
        raise UserError(
            "--decisions with --layout: expected decisions about crops of a crops.csv. "
            f"Received: decisions={args.decisions}"
        )
    if args.layout:
        refuse_output_inside(args.crops, args.output)
        channels = None if args.channels is None else names(args.channels)
        fields = read_fields(args.crops, args.layout, channels)
        return crop_source.source_of_layout(fields)
    if args.channels is not None:
        raise UserError(
            "--channels without --layout: expected crops of crops.csv as they are. "
            f"Received: channels={args.channels}"
        )
    folder = read_crops(args.crops)
    refuse_output_inside(folder.folder, args.output)
    if args.decisions:
        folder = apply_to_crops(folder, args.decisions)
    return crop_source.source_of_table(folder)
