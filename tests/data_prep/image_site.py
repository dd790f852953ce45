"""A web site of images on this machine that fails as it is told to.

``with image_site() as site`` starts it; ``site.put(path, answer, ...)`` sets the
answers to the first, second, ... request of a path; the last one is repeated.
"""

import contextlib
import io
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image

Answer = Callable[[BaseHTTPRequestHandler], None]


def picture(kind: str = "PNG", side: int = 16, seed: int = 0) -> bytes:
    """Returns an image file of noise."""
    noise = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def whole(data: bytes, etag: str = '"1"', ranges: bool = True) -> Answer:
    """Sends the data, or the rest of them that is asked for."""

    def answer(request):
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if ranges and asked and request.headers.get("If-Range", etag) == etag:
            start = int(asked[1])
        headers = {"ETag": etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        _send(request, 206 if start else 200, data[start:], headers)

    return answer


def status(code: int, **headers) -> Answer:
    """Sends a status only; ``_`` in a header's name stands for ``-``."""
    return lambda request: _send(request, code, b"no image", headers)


def cut(
    data: bytes,
    after: int,
    etag: str = '"1"',
    until: threading.Event | None = None,
) -> Answer:
    """Announces all data, but sends only a part; waits for the event if given."""

    def answer(request):
        _send(request, 200, data[:after], {"ETag": etag}, len(data))
        if until is not None:
            until.wait(20)
        request.close_connection = True

    return answer


class Site:
    """The site.

    Attributes:
        url: Its address without a slash at the end.
        asked: Path and headers of every request.
    """

    def __init__(self, url: str):
        self.url = url
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()

    def put(self, path: str, *answers: Answer) -> str:
        """Sets the answers for a path; returns its address."""
        self._answers[path] = list(answers)
        return self.url + path

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.asked.append((request.path, dict(request.headers)))
            answers = self._answers.get(request.path, [status(404)])
            chosen = answers.pop(0) if len(answers) > 1 else answers[0]
        with contextlib.suppress(ConnectionError):
            chosen(request)


@contextlib.contextmanager
def image_site() -> Iterator[Site]:
    """Runs a site until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            site.answer(self)

        def log_message(self, *args):
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def _send(request, code: int, data: bytes, headers, length: int | None = None) -> None:
    request.send_response_only(code)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(data) if length is None else length))
    request.end_headers()
    request.wfile.write(data)
