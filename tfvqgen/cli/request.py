r"""Generates cells for localizations and seeds by a running TensorFlow Serving.

  python -m tfvqgen request --server localhost:8500 --output cells \
      --labels "Golgi apparatus,Mitochondria" --num_per_label 4

The server provides the labels, channels and licence of its model. The output is the
same as that of `python -m tfvqgen sample` with the same model, and the flags have the
same meaning. If the server cannot be reached yet or is still loading, requests are
repeated with growing pauses.
"""

from tfvqgen.cli.sample import add_request_flags, write
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON


def add_flags(parser) -> None:
    add = parser.add_argument
    add(
        "--server",
        required=True,
        help="Address of the server, host:port. The default ports are 8500 for "
        "gRPC and 8501 for REST.",
    )
    text = "Protocol of the requests; grpc needs the extra `serving`."
    add("--protocol", default="grpc", choices=("grpc", "rest"), help=text)
    add("--model", default="tfvqgen", help="Name of the model on the server.")
    add(
        "--version",
        help="Number of the model version, or its label on the server. Defaults to the "
        "newest version.",
    )
    text = "Timeout of a request in seconds."
    add("--timeout", type=float, default=120.0, help=text)
    add_request_flags(parser)


def run(args) -> None:
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
