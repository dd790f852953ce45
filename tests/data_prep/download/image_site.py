"""A web site of images on loopback that misbehaves as it is told to.

``with image_site() as site`` yields a site; ``site.put(path, answer, ...)`` says how it
answers for a path, the first time, the second, ..., the last again and again.
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
    """Returns a file of noise."""
    noise = np.random.default_rng(seed).integers(0, 255, (side, side), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, kind)
    return file.getvalue()


def whole(data: bytes, etag: str = '"1"', ranges: bool = True, **headers) -> Answer:
    """Answers as servers of files do, with the rest where the rest is asked for."""

    def answer(request):
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if ranges and asked and request.headers.get("If-Range", etag) == etag:
            start = int(asked[1])
        if start >= len(data) > 0:
            _send(request, 416, b"", headers)
            return
        fields = {"ETag": etag, **headers}
        if start:
            fields["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        _send(request, 206 if start else 200, data[start:], fields)

    return answer


def status(code: int, **headers) -> Answer:
    """Answers with a status alone; a ``_`` in a header's name stands for ``-``."""
    return lambda request: _send(request, code, b"no image", headers)


def redirect(target: str) -> Answer:
    """Sends elsewhere."""
    return status(302, Location=target)


def cut(data: bytes, after: int, etag: str = '"1"') -> Answer:
    """Promises all, sends so many bytes and breaks the connection."""

    def answer(request):
        _head(request, 200, len(data), {"ETag": etag})
        request.wfile.write(data[:after])
        request.close_connection = True

    return answer


def announced(data: bytes, length: int | None) -> Answer:
    """Sends data under any length, or none, and closes."""

    def answer(request):
        _head(request, 200, length, {"Connection": "close"})
        request.wfile.write(data)
        request.close_connection = True

    return answer


def chunked(data: bytes, finished: bool = True) -> Answer:
    """Sends data in chunks, perhaps without the last one that says it is the end."""

    def answer(request):
        _head(request, 200, None, {"Transfer-Encoding": "chunked"})
        for start in range(0, len(data), 1000):
            piece = data[start : start + 1000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if finished:
            request.wfile.write(b"0\r\n\r\n")
        request.close_connection = not finished

    return answer


def stalling(data: bytes, after: int, over: threading.Event) -> Answer:
    """Sends so many bytes, and nothing more until the event is set."""

    def answer(request):
        _head(request, 200, len(data), {"ETag": '"1"'})
        request.wfile.write(data[:after])
        over.wait(20)
        request.close_connection = True

    return answer


class Site:
    """How the site answers, and what it was asked.

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
        """Says how a path is answered for; returns its address."""
        self._answers[path] = list(answers)
        return self.url + path

    def known(self) -> list[str]:
        """Returns the paths that have an answer."""
        return list(self._answers)

    def paths(self) -> list[str]:
        """Returns the paths asked for, in order."""
        return [path for path, _ in self.asked]

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
    thread = threading.Thread(
        target=lambda: server.serve_forever(poll_interval=0.02), daemon=True
    )
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _send(request, code: int, data: bytes, headers: dict[str, str]) -> None:
    _head(request, code, len(data), headers)
    request.wfile.write(data)


def _head(request, code: int, length: int | None, headers: dict[str, str]) -> None:
    # Nothing but what the test wants to be said, not even a date.
    request.send_response_only(code)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    if length is not None:
        request.send_header("Content-Length", str(length))
    request.end_headers()
