r"""Cuts a crop around every nucleus of a folder of fields.

The command segments the nuclei of each field (or uses the masks of another tool),
measures every cell, and writes to the output folder

  images/             one lossless image for each crop, all channels, 8 or 16 bit
  crops.csv           one row for each crop: labels, position, quality columns, and
                      whether it is accepted or the reason why not
  crops.json          channel names, bit depth, credit line
  contact_sheet.png   accepted crops by label; rejected_sheet.png: rejected crops by
                      reason
  overlays/           some fields with nuclei, accepted (green) and rejected crops
  fields/             the result of each field, for the next run
  cropping.json       the settings
  bad_fields.csv      the fields that could not be read, if any

Rejected nuclei have a row and an image too. Run the command again with other thresholds
to apply them to the existing crops within seconds. Pixels outside the field are black.
The brightness is never adjusted to a single crop.

The layout of the fields is detected. After an interruption run the same command again:
it continues with the missing fields. The files are identical byte by byte to those of
one run, with any number of workers and with --runner=beam. TensorFlow is not needed.

For example:

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
from data_prep.commands import require_limits
from data_prep.cropping import crop_settings
from tfvqgen.command_line import GOES_ON
from tfvqgen.errors import UserError, require_package

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--fields", required=True, help="Folder with the fields of view.")
    add("--output", required=True, help="Output folder for the crops.")
    text = "Layout of the fields, see docs/layouts.md. By default it is detected."
    add("--layout", help=text)
    add(
        "--channels",
        help="Names of the channels to keep, in order, separated by commas. By "
        "default all channels are kept.",
    )
    add(
        "--nucleus_channel",
        help=f"Channel of the nuclei. Defaults to the first of "
        f"{', '.join(crop_settings.NUCLEUS_NAMES)} that exists.",
    )
    add(
        "--protein_channel",
        help="Channel of the protein, whose signal is measured. Defaults to the first "
        f"of {', '.join(crop_settings.PROTEIN_NAMES)} that exists, else none.",
    )
    text = "Side of a crop in pixels, after downsampling by --scale."
    add("--crop_size", type=int, default=128, help=text)
    add(
        "--pixel_size",
        type=float,
        help="Size of a pixel of the fields in micrometres. Defaults to the value of "
        "the layout.",
    )
    add(
        "--scale",
        type=float,
        help="Downsampling factor (area averaging), 1 or more. Defaults to the factor "
        "that gives pixels of 0.32 micrometres.",
    )
    _add_mask_and_intensity_flags(add)
    add(
        "--threshold",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="Threshold of a quality column; NAME=none removes a threshold. "
        "May be repeated. docs/cropping.md lists the names.",
    )
    _add_run_flags(add)


def _add_mask_and_intensity_flags(add) -> None:
    add(
        "--masks",
        help="Folder with one label image for each field, <field>.png or <field>.tif, "
        "from any segmentation tool. 0 is the background, every other number is one "
        "object. If an image contains only one number, every connected component is "
        "an object.",
    )
    add(
        "--mask_kind",
        choices=("nuclei", "cells"),
        help="Kind of objects in the masks; required with --masks. With cells, the "
        "nucleus of each cell is segmented in the nucleus channel.",
    )
    add(
        "--mask_neighbours",
        action="store_true",
        help="Set pixels of the crop to black that belong to another cell, or to no "
        "cell and are nearer to another nucleus.",
    )
    add(
        "--intensity",
        choices=tuple(crop_settings.DEFAULT_RANGES),
        default="fixed",
        help="Scaling of the intensity. fixed: the same range for all fields; "
        "field: percentiles of each channel of the whole field.",
    )
    add(
        "--intensity_range",
        metavar="LOW,HIGH",
        help="Input values that become black and white. With --intensity fixed, "
        "fractions of the 8-bit or 16-bit range (default: 0,1, no change); with "
        "field, percentiles (default: 0.1,99.9).",
    )


def _add_run_flags(add) -> None:
    text = "Largest number of unreadable fields that are skipped; more are an error."
    add("--max_bad_fields", type=int, default=0, help=text)
    text = "Number of fields for which an overlay of nuclei and crops is written."
    add("--overlays", type=int, default=8, help=text)
    text = "Number of processes. Defaults to the number of cores, here %(default)s."
    add("--workers", type=int, default=processes.num_cores(), help=text)
    text = "local: processes on this machine; beam: an Apache Beam pipeline."
    add("--runner", choices=("local", "beam"), default="local", help=text)
    add(
        "--beam_args",
        default="",
        help="Options for Apache Beam as one word, for example "
        '--beam_args="--runner=FlinkRunner --flink_master=host:8081". See '
        "docs/cropping.md.",
    )


def run(args) -> None:
    """Runs the command."""
    _check_flags(args)
    if args.runner == "beam":
        # The workers may start in another folder.
        for name in ("fields", "output", "masks"):
            value = getattr(args, name)
            setattr(args, name, value and os.path.abspath(value))
    from data_prep.cropping.pipeline import crop_fields, local_runner
    from data_prep.fields import refuse_output_inside
    from data_prep.layouts import read_fields

    refuse_output_inside(args.fields, args.output)
    channels = None if args.channels is None else crop_settings.names_of(args.channels)
    folder = read_fields(args.fields, args.layout, channels)
    settings = crop_settings.settings_from_flags(args, folder)
    runner = local_runner(args.workers)
    if args.runner == "beam":
        from data_prep.cropping.beam import beam_runner

        runner = beam_runner(args.beam_args, args.workers)
    summary = crop_fields(
        folder,
        args.output,
        settings,
        runner=runner,
        masks=args.masks,
        max_bad_fields=args.max_bad_fields,
        num_overlays=args.overlays,
        workers=args.workers,
    )
    accepted = summary.num_accepted
    print(f"fields   {summary.num_fields}")
    print(f"crops    {summary.num_crops}, one a nucleus; {accepted} accepted")
    for reason, count in summary.reasons.items():
        print(f"rejected {count}: {reason}")
    sys.stdout.flush()
    for field_id, error in summary.bad_fields.items():
        print(f"left out: field {field_id}: {error}", file=sys.stderr)
    print(f"crops: {os.path.join(args.output, 'crops.csv')}", flush=True)
    if not accepted:
        print(_advice(summary.num_crops, args.masks), file=sys.stderr)


def _check_flags(args) -> None:
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
            "a flag is missing: expected both --masks and --mask_kind. "
            f"Received: masks={args.masks} mask_kind={args.mask_kind}"
        )
    if args.masks is not None and not Path(args.masks).is_dir():
        raise UserError(f"no masks: expected a folder. Received: masks={args.masks}")
    if args.beam_args and args.runner != "beam":
        raise UserError(
            "--beam_args without Beam: expected --runner=beam. "
            f"Received: runner={args.runner}"
        )
    require_package("skimage", "prep")


def _advice(num_crops: int, masks: str | None) -> str:
    """Returns what to check if no crop was accepted."""
    if num_crops:
        return "no crop was accepted: check --pixel_size and rejected_sheet.png"
    if masks is not None:
        return f"the masks show no object: check those in {masks}"
    return "no nucleus was found: check --nucleus_channel and --pixel_size"
