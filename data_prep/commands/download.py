"""Downloads images of the Human Protein Atlas that a table lists.

The table is a CSV file with a column url and optional columns sha256 and path (relative
to the output folder; by default the last two parts of the address), or the file
IF-image.csv of the atlas, for which --url makes the addresses. Each image is checked:
its length, its sha256 if the table has one, and that it can be decoded. The output
folder contains the images, which `crop` reads, the credit line (CREDIT.txt and
fields.json), and failed.csv with the images that could not be downloaded. If there are
any, the exit status is 2.

Images that exist and are unchanged are not downloaded again, and partial downloads are
continued. Please keep --workers and --rate low: the atlas is a shared resource.
"""

import collections
import sys
from pathlib import Path

from data_prep.commands import require_limits
from data_prep.cropping.crop_settings import names_of
from data_prep.image_index import URL_TEMPLATE, ImageIndex, host_of, read_index
from data_prep.layouts.colours import COLOURS, HPA_CREDIT, chosen
from tfvqgen.command_line import GOES_ON
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import exclusive

INTERRUPTED = GOES_ON
_HPA = "proteinatlas.org"
_MOST_NAMED = 20


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--index", required=True, help="CSV file that lists the images, see above.")
    add("--output", required=True, help="Output folder for the images.")
    text = "Channels to download, separated by commas."
    add("--channels", default=",".join(COLOURS), help=text)
    text = "Template for the addresses of images, with columns of the table in braces."
    add("--url", default=URL_TEMPLATE, help=text)
    text = f"Licence and source. Defaults to the atlas's credit line for {_HPA}."
    add("--credit", help=text)
    add("--workers", type=int, default=4, help="Number of parallel connections.")
    text = "Largest number of requests per second; 0 disables the limit."
    add("--rate", type=float, default=8.0, help=text)
    add("--retries", type=int, default=5, help="Number of retries for each image.")
    text = "Timeout in seconds for a connection and for each part of an image."
    add("--timeout", type=float, default=30.0, help=text)
    text = "Largest size of an image in megabytes."
    add("--max_megabytes", type=float, default=200.0, help=text)
    text = "Compare the sha256 of existing images too."
    add("--verify", action="store_true", help=text)


def run(args) -> None:
    """Runs the command."""
    from data_prep.download import DownloadOptions, download

    limits = {"workers": (1, 64), "rate": (0, 10_000), "retries": (0, 100)}
    limits |= {"timeout": (0.001, 3600), "max_megabytes": (0.001, 10_000)}
    require_limits(args, limits)
    folder = Path(args.output)
    if Path(args.index).resolve().parent == folder.resolve():
        raise UserError(
            "the index is in the output folder, where this command writes tables: "
            f"expected it elsewhere. Received: index={args.index}"
        )
    channels = chosen(COLOURS, names_of(args.channels))
    index = read_index(Path(args.index), channels, args.url)
    credit = _credit(args.credit, index)
    options = DownloadOptions(
        workers=args.workers,
        rate=args.rate,
        retries=args.retries,
        timeout=args.timeout,
        max_bytes=int(args.max_megabytes * 1e6),
        verify=args.verify,
    )
    with exclusive(folder, "the folder for images"):
        report = download(index, folder, credit, options)
    print(
        f"images: {report.fetched} downloaded ({report.bytes / 1e6:.1f} MB), "
        f"{report.kept} existed; {len(index.images)} in all"
    )
    if index.num_left_out:
        print(f"left out: {index.num_left_out} images of other channels")
    for path in report.changed[:_MOST_NAMED]:
        print(f"had changed since its download: {path}", file=sys.stderr)
    for image, reason in report.failed[:_MOST_NAMED]:
        print(f"failed: {image.path} ({reason})", file=sys.stderr)
    reasons = collections.Counter(reason for _, reason in report.failed)
    if report.untried:
        reasons["not tried because no server answered"] = report.untried
    if reasons:
        counts = (f"{count} {reason}" for reason, count in reasons.most_common())
        raise DataError(
            f"some images are missing: expected all {len(index.images)}. Received: "
            f"{'; '.join(counts)}; see {folder / 'failed.csv'}"
        )
    print(f"images and credit line: {folder}")


def _credit(given: str | None, index: ImageIndex) -> str:
    """Returns the credit line, which must be given for images of other sites."""
    if given is not None and given.strip():
        return " ".join(given.split())
    hosts = {host_of(image.url) for image in index.images}
    others = [h for h in hosts if h != _HPA and not h.endswith(f".{_HPA}")]
    if others:
        raise UserError(
            "the licence is unknown: expected --credit with licence and source of "
            f"images that are not of {_HPA}. Received: {', '.join(sorted(others)[:5])}"
        )
    return HPA_CREDIT
