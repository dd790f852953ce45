r"""Draws cells for localizations and seeds from a running TensorFlow Serving.

  python -m tfvqgen request --server localhost:8500 --output cells \
      --labels "Golgi apparatus,Mitochondria" --num_per_label 4

The server says which model it has: its labels, its channels, its licence. What is
written is what `python -m tfvqgen sample` writes from the same model, and --labels and
the flags after it mean the same.

A server that is not there yet or is still loading is asked again, after ever longer
pauses; everything else that is wrong is said in one line.
"""

from tfvqgen.cli.sample import add_request_flags, write
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument(
        "--server", required=True, help="host:port (ports if not given: 8500, 8501)"
    )
    parser.add_argument(
        "--protocol",
        default="grpc",
        choices=("grpc", "rest"),
        help="how to ask; grpc needs the extra `serving`",
    )
    parser.add_argument("--model", default="tfvqgen", help="its name on the server")
    parser.add_argument(
        "--version", help="a version's number or label (the newest if not given)"
    )
    parser.add_argument(
        "--timeout", type=float, default=120.0, help="seconds for one request"
    )
    add_request_flags(parser)


def run(args) -> None:
    """Runs the command."""
    # REST does without it, but not the sheet at the end.
    import_tensorflow()
    from tfvqgen.client import Server

    with Server(
        args.server,
        args.protocol,
        args.model,
        args.version,
        timeout=args.timeout,
        rows_per_request=args.batch_size,
    ) as server:
        write(server, args)
