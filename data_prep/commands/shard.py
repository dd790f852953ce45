"""Writes a folder of crops as TFRecord shards, split by group.

The folder contains crops.csv or, with --layout, ready-made crops: folders by class
(folder: <label>/<id>.png or <label>/<id>_<colour>.png), SubCell crops (subcell), or
images that are listed in manifest.csv (manifest). docs/layouts.md describes them.

Crops that are not accepted, or whose labels are all outside the vocabulary, are left
out and counted. Splits never share a group, and each split gets its share of every
label. After an interruption run the same command again: it starts over.
"""

from data_prep.cropping.crop_settings import names_of
from data_prep.labels import DEFAULT_VOCABULARY, vocabulary_names
from tfvqgen.command_line import import_tensorflow
from tfvqgen.data.dataset_info import LABEL_POLICIES


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--crops", required=True, help="Folder with the crops, or a CSV file of crops.")
    text = "Layout of ready-made crops. By default the crops are those of crops.csv."
    add("--layout", choices=("folder", "subcell", "manifest"), help=text)
    text = "With --layout: channels to keep, in order, separated by commas."
    add("--channels", help=text)
    text = "The file review/decisions.csv written by `screen --apply`."
    add("--decisions", metavar="FILE", help=text)
    add("--output", required=True, help="Output folder for the shards.")
    add(
        "--vocabulary",
        default=DEFAULT_VOCABULARY,
        help=f"Vocabulary of labels: {', '.join(vocabulary_names())}, or a text file "
        "with one label on each line.",
    )
    add(
        "--label_policy",
        default=LABEL_POLICIES[0],
        choices=LABEL_POLICIES,
        help="Treatment of crops with several labels. multi_hot: one record with all "
        "labels; single_only: only crops with exactly one label; primary: the first "
        "label; duplicate: one record for each label.",
    )
    text = "Remove labels with fewer records than this from the vocabulary."
    add("--min_count", type=int, default=0, help=text)
    text = "Side of the downsampled crops in pixels. Defaults to the side of the crops."
    add("--size", type=int, help=text)
    add("--num_shards", type=int, default=8, help="Number of shards of each split.")
    text = "Fraction of the records in each split."
    add("--splits", default="train=0.8,validation=0.1,test=0.1", help=text)
    text = "Random seed of the splits and of the order of records."
    add("--seed", type=int, default=0, help=text)
    add("--overwrite", action="store_true", help="Replace existing shards.")


def run(args) -> None:
    """Runs the command."""
    import_tensorflow()
    from data_prep import labels
    from data_prep.shards import inspection, plan, shards
    from tfvqgen.errors import require_in_range

    for name, least in (("num_shards", 1), ("min_count", 0), ("size", 1)):
        value = getattr(args, name)
        fits = value is None or value >= least
        require_in_range(f"--{name}", value, fits, f"at least {least}")
    options = plan.ShardOptions(
        vocabulary=labels.load_vocabulary(args.vocabulary),
        splits=plan.parse_splits(args.splits),
        label_policy=args.label_policy,
        min_count=args.min_count,
        size=args.size,
        num_shards=args.num_shards,
        seed=args.seed,
    )
    source = _source(args)
    overwrite = args.overwrite
    info, made = shards.write_dataset(source, args.output, options, overwrite=overwrite)
    print(inspection.summary(info))
    print(inspection.count_table(info))
    for reason, count in made.left_out.items():
        print(f"left out: {count} crops: {reason}")
    for label, count in made.outside.items():
        print(f"outside the vocabulary: {label!r} of {count} crops")
    print(f"shards: {args.output}")


def _source(args):
    from data_prep.fields import refuse_output_inside
    from data_prep.layouts import read_fields
    from data_prep.screening.decisions import apply_to_crops
    from data_prep.shards import shards
    from tfvqgen.data.crops import read_crops
    from tfvqgen.errors import UserError

    if args.layout and args.decisions:
        raise UserError(
            "--decisions with --layout: expected decisions about crops of a crops.csv. "
            f"Received: decisions={args.decisions}"
        )
    if args.layout:
        refuse_output_inside(args.crops, args.output)
        channels = None if args.channels is None else names_of(args.channels)
        fields = read_fields(args.crops, args.layout, channels)
        return shards.source_of_layout(fields)
    if args.channels is not None:
        raise UserError(
            "--channels without --layout: expected crops of crops.csv as they are. "
            f"Received: channels={args.channels}"
        )
    folder = read_crops(args.crops)
    refuse_output_inside(folder.folder, args.output)
    if args.decisions:
        folder = apply_to_crops(folder, args.decisions)
    return shards.source_of_table(folder)
