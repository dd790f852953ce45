"""Opens a web page on this machine to try a model.

  python -m tfvqgen app --model runs/first/export

Open the address that the command prints. The page generates cells for chosen
localizations, shows each channel, reconstructs or completes an uploaded crop, and
offers all images as lossless files whose metadata says that they are generated.

The model is a folder of export.py or a workdir of train.py. The page needs no network
and can only be reached from this machine. If the model is on another machine, forward
the port: ssh -L 8600:localhost:8600 machine. Ctrl-C closes the page. The command needs
the extra `app`.
"""

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tfvqgen.command_line import import_tensorflow
from tfvqgen.errors import UserError, require_in_range, require_package

INTERRUPTED = "the page is closed; run the same command again to open it"

_LOOPBACK = "127.0.0.1"
# Even if Gradio asked for it, the browser would load nothing from another host.
_POLICY = (
    "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
    "frame-ancestors 'none'; form-action 'none'"
)

_CSS = """
.cells img {image-rendering: pixelated}
.cells .grid-wrap, .cells .grid-container {height: auto; min-height: 0}
.cells .thumbnail-item {aspect-ratio: auto; height: auto}
.cells .thumbnail-item img {aspect-ratio: 1; height: auto}
.cells .caption-label {position: static; max-width: none; background: none; border: 0;
  white-space: normal; padding: 0}
.chips label {padding: 3px 8px}
.chips .wrap {gap: 5px}
"""


def add_flags(parser) -> None:
    parser.add_argument(
        "--model", required=True, help="Folder of export.py or workdir of train.py."
    )
    text = "Port of the page; 0 selects a free port."
    parser.add_argument("--port", type=int, default=8600, help=text)


def run(args) -> None:
    require_in_range("port", args.port, 0 <= args.port <= 65535, "0 to 65535")
    require_package("gradio", "app")
    import_tensorflow()
    from tfvqgen.generation import open_source

    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    with tempfile.TemporaryDirectory(prefix="tfvqgen_app_") as folder:
        # Gradio copies uploads and images to this folder.
        os.environ["GRADIO_TEMP_DIR"] = f"{folder}/gradio"
        with serving(open_source(args.model), Path(folder), args.port) as address:
            line = f"page: {address}  (only on this machine; Ctrl-C ends it)"
            print(line, flush=True)
            threading.Event().wait()


@contextlib.contextmanager
def serving(source, folder: Path, port: int = 0) -> Iterator[str]:
    """Serves the page until the block ends, and yields its address.

    `folder` is for the files of the sessions; port 0 is a free port.

    Raises:
        UserError: The port is in use.
    """
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware

    from tfvqgen.app import MAX_UPLOAD_BYTES, MODEL_USE, Page

    page = Page(source, folder).build()
    try:
        _, address, _ = page.launch(
            server_name=_LOOPBACK,
            server_port=port or _free_port(),
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            ssr_mode=False,
            footer_links=[],
            run_history=False,
            max_file_size=MAX_UPLOAD_BYTES,
            app_kwargs={
                "middleware": [Middleware(BaseHTTPMiddleware, _answer_page_only)]
            },
            theme=gr.themes.Base(font="system-ui", font_mono="monospace"),
            css=_CSS,
            js="() => document.body.classList.add('dark')",
        )
    except OSError:
        raise UserError(
            "the port is in use: expected a free one (--port 0 selects one). "
            f"Received: port={port}"
        ) from None
    try:
        yield address
    finally:
        page.close(verbose=False)
        # Waits for the batch in progress; nothing asks for another one.
        with MODEL_USE:
            pass


async def _answer_page_only(request, call_next):
    """Refuses other pages and names of this machine, and adds the page's policy."""
    from starlette.responses import PlainTextResponse

    host = request.headers.get("host", "")
    own_origin = f"http://{host}"
    if host.split(":")[0] not in (_LOOPBACK, "localhost"):
        return PlainTextResponse(f"wrong host: expected {_LOOPBACK}", 403)
    if request.headers.get("origin", own_origin) != own_origin:
        return PlainTextResponse("wrong origin: expected this page", 403)
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((_LOOPBACK, 0))
        return free.getsockname()[1]
