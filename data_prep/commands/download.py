"""Fetches images of the Human Protein Atlas that a table lists.

The table has a column url, and if wanted sha256 and path (below the output folder; by
default the last two parts of the address); or it is the atlas's own IF-image.csv, whose
addresses --url makes. What comes is checked: its length, its sha256 if the table says
it, its first and last bytes. It leaves images that `crop` reads, the credit line
(CREDIT.txt, fields.json), and failed.csv with what did not come; then the exit status
is 2.

Images that are there and unchanged are not asked for again, and those that were begun
are continued. Please keep --workers and --rate low: the atlas is there for everybody.
"""

import collections
import sys
from pathlib import Path

from data_prep.commands.limits import require_limits
from data_prep.cropping.crop_settings import names
from data_prep.download.index import URL_TEMPLATE, read_index
from data_prep.download.names import host_of
from data_prep.layouts.colours import COLOURS, HPA_CREDIT, chosen
from tfvqgen.command_line import GOES_ON
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import exclusive

INTERRUPTED = GOES_ON
_HPA = "proteinatlas.org"
_NAMED = 20


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument("--index", required=True, help="CSV: see above")
    parser.add_argument("--output", required=True, help="folder for the images")
    parser.add_argument(
        "--channels", default=",".join(COLOURS), help="colours to fetch"
    )
    parser.add_argument(
        "--url",
        default=URL_TEMPLATE,
        help="addresses of the images of IF-image.csv, from its columns",
    )
    parser.add_argument(
        "--credit", help="licence and source line; the atlas's for its own images"
    )
    _add_manners(parser)
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read the images that are there and compare their sha256",
    )


def _add_manners(parser) -> None:
    parser.add_argument("--workers", type=int, default=4, help="images at a time")
    parser.add_argument(
        "--rate", type=float, default=8.0, help="requests a second, 0: without limit"
    )
    parser.add_argument(
        "--retries", type=int, default=5, help="further attempts at an image"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="seconds to wait for a connection and for each piece of an image",
    )
    parser.add_argument(
        "--image_timeout",
        type=float,
        default=600.0,
        help="seconds that an attempt at an image may take",
    )
    parser.add_argument(
        "--max_megabytes", type=float, default=200.0, help="of one image"
    )


def run(args) -> None:
    """Runs the command."""
    _check(args)
    channels = chosen(COLOURS, names(args.channels))
    index = read_index(Path(args.index), channels, args.url)
    credit = _credit(args.credit, index)
    folder = Path(args.output)
    with exclusive(folder, "the folder for images"):
        report = _download(args, index, folder, credit)
    _say(report, index, folder)


def _download(args, index, folder: Path, credit: str):
    from tqdm import tqdm

    from data_prep.download.crew import Options
    from data_prep.download.run import download

    options = Options(
        workers=args.workers,
        rate=args.rate,
        retries=args.retries,
        timeout=args.timeout,
        image_timeout=args.image_timeout,
        most_bytes=int(args.max_megabytes * 1e6),
        verify=args.verify,
    )
    with tqdm(total=len(index.images), unit="image", desc="fetching") as bar:

        def progress(report) -> None:
            bar.set_postfix(
                MB=round(report.bytes / 1e6), failed=len(report.failed), refresh=False
            )
            bar.update()

        return download(index, folder, credit, options, progress=progress)


def _say(report, index, folder: Path) -> None:
    print(
        f"images: {report.fetched} fetched ({report.bytes / 1e6:.1f} MB), "
        f"{report.kept} were there; {len(index.images)} in all"
    )
    if index.left_out:
        print(f"left out: {index.left_out} images of other channels")
    for path in report.changed[:_NAMED]:
        print(f"had changed since it came: {path}", file=sys.stderr)
    for wanted, reason in report.failed[:_NAMED]:
        print(f"failed: {wanted.path} ({reason})", file=sys.stderr)
    if report.whole:
        print(f"images and credit line: {folder}")
        return
    reasons = collections.Counter(reason for _, reason in report.failed)
    if report.untried:
        reasons["not tried, as nobody answered"] = report.untried
    counts = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    raise DataError(
        f"some images did not come: expected all {len(index.images)}. "
        f"Received: {counts}; named in {folder / 'failed.csv'}"
    )


def _credit(given: str | None, index) -> str:
    """Returns the credit line, which nobody but the user knows for other sites."""
    if given is not None and given.strip():
        return " ".join(given.split())
    hosts = {host_of(image.url) for image in index.images}
    others = [h for h in hosts if h != _HPA and not h.endswith(f".{_HPA}")]
    if others:
        raise UserError(
            "the licence is not known: expected --credit with licence and source of "
            f"images that are not of {_HPA}. Received: {', '.join(sorted(others)[:5])}"
        )
    return HPA_CREDIT


def _check(args) -> None:
    require_limits(
        args,
        {
            "workers": (1, 64),
            "rate": (0, 10_000),
            "retries": (0, 100),
            "timeout": (0.001, 3600),
            "image_timeout": (0.001, 86_400),
            "max_megabytes": (0.001, 10_000),
        },
    )
    if Path(args.index).resolve().parent == Path(args.output).resolve():
        raise UserError(
            "the index is in the output folder, where this command writes tables: "
            f"expected it elsewhere. Received: index={args.index}"
        )
