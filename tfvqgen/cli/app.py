"""Opens a web page on this machine to try a model.

  python -m tfvqgen app --model runs/first/export

Open the address that the command prints. The page generates cells for chosen
localizations, shows each channel, reconstructs or completes an uploaded crop, and
offers all images as lossless files whose metadata says that they are generated.

The model is a folder of export.py or a workdir of train.py. The page needs no network
and can only be reached from this machine. If the model is on another machine, forward
the port: ssh -L 8600:localhost:8600 machine. Ctrl-C closes the page.
"""

import contextlib
import threading

from tfvqgen.command_line import import_tensorflow

INTERRUPTED = "the page is closed; run the same command again to open it"


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    parser.add_argument(
        "--model", required=True, help="Folder of export.py or workdir of train.py."
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8600,
        help="Port of the page; 0 selects a free port.",
    )


def run(args) -> None:
    """Runs the command."""
    from tfvqgen.errors import UserError, require_in_range

    require_in_range("port", args.port, 0 <= args.port <= 65535, "0 to 65535")
    import_tensorflow()
    from tfvqgen.app.model import open_model
    from tfvqgen.app.server import PageServer
    from tfvqgen.app.studio import Studio

    studio = Studio(open_model(args.model))
    try:
        server = PageServer(studio, args.port)
    except OSError as error:
        raise UserError(
            "the page cannot be opened: expected a free port (--port 0 takes any). "
            f"Received: port={args.port} ({error.strerror})"
        ) from None
    with server:
        # While the user looks around.
        threading.Thread(target=_warm_up, args=(studio,), daemon=True).start()
        print(f"page: {server.url}  (only on this machine; Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        finally:
            studio.close()


def _warm_up(studio) -> None:
    from tfvqgen.app.limits import Refused

    with contextlib.suppress(Refused):
        studio.warm_up()
