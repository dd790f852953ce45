r"""Cuts a crop around every nucleus of a folder of fields.

Finds the nuclei of each field (or takes the masks of another tool), measures every
cell, and leaves in the output folder

  images/             a lossless image a crop, all channels, 8 or 16 bit as the fields
  crops.csv           a row a crop: labels, place, quality, accepted or why not
  crops.json          the channels' names, the depth, the credit line
  contact_sheet.png   accepted crops by label; rejected_sheet.png: the others by reason
  overlays/           a few fields with nuclei, accepted (green) and rejected boxes
  fields/             what has been done, for the next run
  cropping.json       the settings, which stay what they are
  bad_fields.csv      the fields that could not be read, if any

Every nucleus has a row and an image, also those that are rejected: run again with other
thresholds, and the crops are judged anew in seconds. What a crop shows outside its
field is black. Brightness is never adjusted to a single crop.

The layout of the fields is found by looking. Run again after an interruption it goes on
with the fields that are missing; the files are the same, byte by byte, as those of one
run, with any number of workers, and with --runner=beam. Needs no TensorFlow.

For instance

  python -m data_prep crop --fields kaggle2018 --output crops --crop_size 64
  python -m data_prep crop --fields plates --layout manifest --pixel_size 0.1 \
    --channels dna,gfp --nucleus_channel dna --output crops
  python -m data_prep crop --fields kaggle2018 --masks cellpose --mask_kind cells \
    --mask_neighbours --output crops
"""

import os
import sys
from pathlib import Path

from data_prep import processes
from data_prep.commands.limits import require_limits
from data_prep.cropping import crop_settings
from tfvqgen.command_line import GOES_ON
from tfvqgen.errors import UserError

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--fields", required=True, help="folder with the fields")
    parser.add_argument("--output", required=True, help="folder for the crops")
    parser.add_argument(
        "--layout",
        help="how the fields are kept, see docs/layouts.md (found by looking)",
    )
    parser.add_argument(
        "--channels",
        help="names of the channels to keep, in order, with commas between (all)",
    )
    parser.add_argument(
        "--nucleus_channel",
        help="the channel of the nuclei (one of "
        f"{', '.join(crop_settings.NUCLEUS_NAMES)})",
    )
    parser.add_argument(
        "--protein_channel",
        help="the channel whose signal is measured (one of "
        f"{', '.join(crop_settings.PROTEIN_NAMES)}; else none)",
    )
    _add_flags_of_scale(parser)
    _add_flags_of_masks(parser)
    _add_flags_of_intensity(parser)
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a limit of its own, NAME=none for no limit; repeat for more. Names: "
        "see docs/cropping.md",
    )
    _add_flags_of_work(parser)


def _add_flags_of_scale(parser) -> None:
    parser.add_argument(
        "--crop_size",
        type=int,
        default=128,
        help="side of a crop, pixels after --scale",
    )
    parser.add_argument(
        "--pixel_size",
        type=float,
        help="micrometres a pixel of the fields (what the layout says)",
    )
    parser.add_argument(
        "--scale",
        type=float,
        help="how many pixels' widths become one, by the mean over the area (so that "
        "pixels become .32 micrometres)",
    )


def _add_flags_of_masks(parser) -> None:
    parser.add_argument(
        "--masks",
        help="folder with a label image a field, <field>.png or .tif, of any tool: 0 "
        "is background, every other number is one object (one number alone: every "
        "connected piece)",
    )
    parser.add_argument(
        "--mask_kind",
        choices=("nuclei", "cells"),
        help="what the masks show; with cells, a cell's nucleus is looked for in it",
    )
    parser.add_argument(
        "--mask_neighbours",
        action="store_true",
        help="make black what is nearer to another nucleus, or in another cell",
    )


def _add_flags_of_intensity(parser) -> None:
    parser.add_argument(
        "--intensity",
        choices=tuple(crop_settings.USUAL_RANGES),
        default="fixed",
        help="fixed: one range for all fields; field: percentiles of each channel of "
        "the whole field",
    )
    parser.add_argument(
        "--intensity_range",
        metavar="LOW,HIGH",
        help="what becomes 0 and full: shares of what 8 or 16 bits hold with fixed "
        "(0,1: values stay as they are), percentiles with field (0.1,99.9)",
    )


def _add_flags_of_work(parser) -> None:
    parser.add_argument(
        "--max_bad_fields",
        type=int,
        default=0,
        help="how many fields may be left out that cannot be read",
    )
    parser.add_argument(
        "--overlays", type=int, default=8, help="fields to draw with their boxes"
    )
    parser.add_argument(
        "--workers", type=int, default=processes.num_cores(), help="processes that cut"
    )
    parser.add_argument(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="local: processes of this machine; beam: an Apache Beam pipeline",
    )
    parser.add_argument(
        "--beam_args",
        default="",
        help='options of Beam in one word, e.g. --beam_args="--runner=FlinkRunner '
        '--flink_master=host:8081"; see docs/cropping.md',
    )


def run(args) -> None:
    """Runs the command."""
    _check(args)
    if args.runner == "beam":
        # Its workers need not start where this command does.
        for name in ("fields", "output", "masks"):
            value = getattr(args, name)
            setattr(args, name, value and os.path.abspath(value))
    from data_prep.cropping.pipeline import crop_fields
    from data_prep.fields import refuse_output_inside
    from data_prep.layouts import read_fields

    refuse_output_inside(args.fields, args.output)
    channels = None if args.channels is None else crop_settings.names(args.channels)
    folder = read_fields(args.fields, args.layout, channels)
    settings = crop_settings.settings_of(args, folder)
    summary = crop_fields(
        folder,
        args.output,
        settings,
        runner=_runner(args),
        masks=args.masks,
        max_bad_fields=args.max_bad_fields,
        overlays=args.overlays,
        workers=args.workers,
    )
    _report(summary, Path(args.output))
    if not summary.num_accepted:
        print(_advice(summary, args.masks), file=sys.stderr)


def _check(args) -> None:
    require_limits(
        args,
        {
            "crop_size": (8, 4096),
            "pixel_size": (0.001, 100),
            "scale": (1, 1000),
            "max_bad_fields": (0, 10**9),
            "overlays": (0, 10**6),
            "workers": (1, 1024),
        },
    )
    if (args.masks is None) != (args.mask_kind is None):
        raise UserError(
            "half of what masks need: expected --masks and --mask_kind (nuclei or "
            f"cells). Received: masks={args.masks} mask_kind={args.mask_kind}"
        )
    if args.masks is not None and not Path(args.masks).is_dir():
        raise UserError(
            f"no masks there: expected a folder. Received: masks={args.masks}"
        )
    if args.beam_args and args.runner != "beam":
        raise UserError(
            "--beam_args without Beam: expected --runner=beam. "
            f"Received: runner={args.runner}"
        )
    try:
        import skimage  # noqa: F401
    except ImportError:
        raise UserError(
            "scikit-image is not installed: expected the extra `prep` "
            "(pip install 'tfvqgen[prep]'). Received: no module skimage"
        ) from None


def _runner(args):
    if args.runner == "local":
        from data_prep.cropping.pipeline import local_runner

        return local_runner(args.workers)
    from data_prep.cropping.beam import beam_runner

    return beam_runner(args.beam_args, args.workers)


def _report(summary, output: Path) -> None:
    print(f"fields   {summary.num_fields}")
    print(
        f"crops    {summary.num_crops}, one a nucleus; {summary.num_accepted} accepted"
    )
    for reason, count in summary.reasons.items():
        print(f"rejected {count}: {reason}")
    sys.stdout.flush()
    for field_id, error in summary.bad_fields.items():
        print(f"left out: field {field_id}: {error}", file=sys.stderr)
    print(f"crops: {os.path.join(output, 'crops.csv')}", flush=True)


def _advice(summary, masks: str | None) -> str:
    """Says where to look when there is no crop to take."""
    if summary.num_crops:
        return "no crop was accepted: look at --pixel_size and rejected_sheet.png"
    if masks is not None:
        return f"the masks show no object: look at those in {masks}"
    return "no nucleus was found: look at --nucleus_channel and --pixel_size"
