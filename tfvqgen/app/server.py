"""The page's server: on this machine only, a few requests at a time.

Pages of other sites are open in the same browser. They may not read from here (no
header lets them), may not ask for anything (requests must be JSON, from this page), and
may not come under another name that leads to this machine (the host is checked).
"""

import json
import re
import sys
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tfvqgen.app.cells import COMPOSITE, NoSuchCell, download, picture, zipped
from tfvqgen.app.limits import MOST_BODY_BYTES, RateLimit, Refused, TooMany
from tfvqgen.app.studio import Studio
from tfvqgen.app.upload import TooLarge
from tfvqgen.errors import UserError

LOOPBACK = "127.0.0.1"
_HOSTS = {LOOPBACK, "localhost"}
_SECONDS_OF_SILENCE = 60
_MOST_DIGITS = 20
_PAGE = {"/": "index.html"} | {
    f"/{name}": name
    for name in ("style.css", "ask.js", "show.js", "crop.js", "page.js")
}
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves the page on the loopback address.

    Args:
        studio: Answers.
        port: 0 is any free one.
        rate: Limits how fast questions may come.

    Attributes:
        url: Where the page is.

    Raises:
        OSError: The port is in use.
    """

    daemon_threads = True

    def __init__(self, studio: Studio, port: int = 0, rate: RateLimit | None = None):
        self.studio = studio
        self.rate = rate or RateLimit()
        super().__init__((LOOPBACK, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def handle_error(self, request, client_address):
        """Says what went wrong, unless the browser just went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            traceback.print_exc()


class _Wrong(Exception):
    """A request that no page of ours sends."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "tfvqgen"
    sys_version = ""
    timeout = _SECONDS_OF_SILENCE
    server: PageServer

    def do_GET(self):
        self._answer(self._get)

    def do_POST(self):
        self._answer(self._post)

    def log_message(self, *args):
        """Says nothing."""

    def _answer(self, act) -> None:
        """Answers with what `act` sends, or with one sentence."""
        try:
            self._check_sender()
            act()
        except _Wrong as error:
            # The rest of the request may not have been read.
            self.close_connection = True
            self._send_json(error.status, {"error": str(error)})
        except Refused as error:
            status = 429 if isinstance(error, TooMany) else 503
            after = {"Retry-After": str(error.seconds)}
            self._send_json(status, {"error": str(error)}, after)
        except TooLarge as error:
            self._send_json(409, {"error": str(error), "factor": error.factor})
        except UserError as error:
            status = 404 if isinstance(error, NoSuchCell) else 400
            self._send_json(status, {"error": str(error)})
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            traceback.print_exc()
            words = f"{type(error).__name__}: {error}"[:200]
            self._send_json(
                500,
                {
                    "error": "something went wrong here, not with you. Received: "
                    + words
                },
            )

    def _check_sender(self) -> None:
        host = self.headers.get("Host", "")
        if _hostname(host) not in _HOSTS:
            raise _Wrong(
                403, f"another host: expected {LOOPBACK} or localhost. Received: {host}"
            )
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{host}":
            raise _Wrong(
                403, f"another page: expected one from here. Received: {origin}"
            )

    def _get(self) -> None:
        try:
            url = urlsplit(self.path)
        except ValueError:
            raise _Wrong(400, "not an address") from None
        if url.path in _PAGE:
            file = resources.files("tfvqgen.app") / "page" / _PAGE[url.path]
            kind = f"{_KINDS[Path(file.name).suffix]}; charset=utf-8"
            self._send(200, file.read_bytes(), {"Content-Type": kind})
        elif url.path == "/api/about":
            self._send_json(200, self.server.studio.introduce())
        elif url.path == "/cells.zip":
            self._send_zip(parse_qs(url.query).get("id", []))
        elif found := re.fullmatch(r"/cells/(\w{1,40})/download", url.path):
            self._send_download(found[1])
        elif found := re.fullmatch(r"/cells/(\w{1,40})/(\w{1,9})\.png", url.path):
            self._send_picture(found[1], found[2], parse_qs(url.query))
        else:
            raise _Wrong(404, f"nothing there. Received: {url.path[:80]}")

    def _post(self) -> None:
        studio = self.server.studio
        actions = {
            f"/api/{act.__name__}": act
            for act in (studio.draw, studio.upload, studio.reconstruct, studio.complete)
        }
        if self.path not in actions:
            raise _Wrong(404, f"nothing there. Received: {self.path[:80]}")
        body = self._body()
        self.server.rate.count()
        self._send_json(200, actions[self.path](body))

    def _body(self) -> Mapping[str, Any]:
        """Reads the request's JSON object, of limited size."""
        kind = self.headers.get_content_type()
        if kind != "application/json":
            raise _Wrong(415, f"expected application/json. Received: {kind}")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Wrong(411, "expected Content-Length. Received: none")
        # Python makes no number of too many digits.
        if len(length) > _MOST_DIGITS or int(length) > MOST_BODY_BYTES:
            raise _Wrong(
                413,
                f"too large: expected {MOST_BODY_BYTES:,} bytes at most. "
                f"Received: {length[:_MOST_DIGITS]}",
            )
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise UserError(
                "wrong request: expected JSON. Received: something else"
            ) from None
        if not isinstance(body, dict):
            raise UserError(
                f"wrong request: expected an object. Received: a {type(body).__name__}"
            )
        return body

    def _send_picture(self, key: str, view: str, query: Mapping[str, list[str]]):
        about, cell = self.server.studio.model_info, self.server.studio.cells.get(key)
        views = {COMPOSITE, *map(str, range(len(about.channels)))}
        if view not in views:
            raise _Wrong(404, f"expected {COMPOSITE} or a channel. Received: {view}")
        gain = _gain(query, len(about.channels))
        data = picture(cell, about, view, gain)
        # What an id stands for never changes.
        keep = {"Cache-Control": "private, max-age=3600, immutable"}
        self._send(200, data, {"Content-Type": "image/png", **keep})

    def _send_download(self, key: str) -> None:
        studio = self.server.studio
        name, data = download(studio.cells.get(key), studio.model_info)
        self._send_file(name, data)

    def _send_zip(self, keys: list[str]) -> None:
        studio = self.server.studio
        if not keys:
            raise UserError("no cells: expected some. Received: none")
        data = zipped([studio.cells.get(key) for key in keys], studio.model_info)
        self._send_file(f"generated_cells_{studio.model_info.id}.zip", data)

    def _send_file(self, name: str, data: bytes) -> None:
        kind = "application/zip" if name.endswith(".zip") else "image/png"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        self._send(200, data, {"Content-Type": kind, **headers})

    def _send_json(
        self, status: int, value: Any, headers: Mapping[str, str] | None = None
    ) -> None:
        # What was sent may have been half a letter, which is no text in UTF-8.
        data = json.dumps(value, allow_nan=False).encode()
        kind = {"Content-Type": "application/json"}
        self._send(status, data, {**kind, **(headers or {})})

    def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for item in {**_HEADERS, **headers}.items():
            self.send_header(*item)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _gain(query: Mapping[str, list[str]], channels: int) -> list[float] | None:
    """Reads ``gain=1,2.5,...``, a factor a channel."""
    if "gain" not in query:
        return None
    words = query["gain"][0].split(",")
    try:
        gain = [float(word) for word in words]
    except ValueError:
        gain = []
    if len(gain) != channels or not all(0 <= x <= 1000 for x in gain):
        raise UserError(
            f"wrong gain: expected {channels} numbers from 0 to 1000. "
            f"Received: {query['gain'][0][:60]}"
        )
    return gain
