"""A server's reply, held against what its model says of itself."""

import base64
import http.client
import json
import re
import ssl
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from tfvqgen.client.failure import Cause, Failure
from tfvqgen.client.transport import MOST_BYTES, Served, VersionState
from tfvqgen.errors import UserError
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.source import Cells

# Shapes: N cells of H x W pixels and C channels.


RAW_OUTPUTS = ("image_bytes", "top_codes", "bottom_codes")


def read_cells(about: ModelInfo, rows: int, outputs: dict[str, np.ndarray]) -> Cells:
    """Returns the cells of a reply.

    Args:
        about: The model.
        rows: How many were asked for (N).
        outputs: By name, of their types or of int64 (JSON has no other).

    Raises:
        Failure: An output is missing, or its shape, type or a value is wrong.
    """
    greatest = np.iinfo(about.dtype).max
    codes = about.num_embeddings - 1
    return Cells(
        _read(outputs, "image", (rows, *about.image_shape), about.dtype, greatest),
        _read(outputs, "top_codes", (rows, *about.top_shape), "int32", codes),
        _read(outputs, "bottom_codes", (rows, *about.bottom_shape), "int32", codes),
    )


def read_raw_image(
    about: ModelInfo, outputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Replaces the bytes of images by the images.

    Args:
        about: The model.
        outputs: With ``image_bytes``, bytes [N]: an image's values in the order of
            [H, W, C], the lower byte of a value first.

    Returns:
        The outputs with ``image`` [N, H, W, C] instead.

    Raises:
        Failure: There are no bytes, or not as many as an image has.
    """
    dtype = np.dtype(about.dtype).newbyteorder("<")
    expected = int(np.prod(about.image_shape)) * dtype.itemsize
    images = []
    for value in outputs.get("image_bytes", np.zeros(0)):
        if not isinstance(value, bytes) or len(value) != expected:
            received = len(value) if isinstance(value, bytes) else type(value).__name__
            raise Failure(
                Cause.WRONG_REPLY, f"image_bytes of {received} instead of {expected}"
            )
        images.append(np.frombuffer(value, dtype).reshape(about.image_shape))
    return {**outputs, "image": np.array(images, about.dtype)}


def _read(outputs, name, shape, dtype, greatest) -> np.ndarray:
    if name not in outputs:
        raise Failure(Cause.WRONG_REPLY, f"no output {name}, only {sorted(outputs)}")
    value = outputs[name]
    if value.shape != shape or value.dtype not in (np.dtype(dtype), np.dtype(np.int64)):
        raise Failure(
            Cause.WRONG_REPLY,
            f"{name} {value.dtype} {value.shape} instead of {dtype} {shape}",
        )
    if value.size and not 0 <= value.min() <= value.max() <= greatest:
        raise Failure(
            Cause.WRONG_REPLY,
            f"{name} from {value.min()} to {value.max()} instead of 0 to {greatest}",
        )
    return value.astype(dtype)


DEFAULT_PORT = 8501

# What taking a reply apart can raise that has another form.
_FORM_ERRORS = (AttributeError, LookupError, TypeError, ValueError)
_CUT = "the connection was cut within the reply"
_UNFIT = re.compile(r"[\s\x00-\x1f\x7f]")
_CAUSES = {
    400: Cause.REFUSED,
    404: Cause.NO_MODEL,
    429: Cause.UNAVAILABLE,
    502: Cause.UNAVAILABLE,
    503: Cause.UNAVAILABLE,
    504: Cause.TIMEOUT,
}


class RestTransport:
    """Talks to one model over REST.

    Args:
        address: ``host:port``, or a URL before ``/v1``; the port may be left out.
        model: Its name on the server.

    Raises:
        UserError: The address is not one.
    """

    protocol = f"REST, as a rule at port {DEFAULT_PORT}"

    def __init__(self, address: str, model: str):
        self._url = parse_url(address)
        self.address = self._url.geturl()
        self._path = f"{self._url.path}/v1/models/{quote(model, safe='')}"

    def served(self, version: int | str | None, timeout: float) -> Served:
        """See :class:`tfvqgen.client.transport.Transport`."""
        path = f"{self._path}{_version_path(version)}/metadata"
        reply = self._request("GET", path, None, timeout)
        try:
            signatures = reply["metadata"]["signature_def"]["signature_def"]
            return Served(int(reply["model_spec"]["version"]), frozenset(signatures))
        except _FORM_ERRORS:
            raise Failure(Cause.STRANGER, json.dumps(reply)) from None

    def states(self, timeout: float) -> list[VersionState]:
        """See :class:`tfvqgen.client.transport.Transport`."""
        try:
            reply = self._request("GET", self._path, None, timeout)
            return [
                VersionState(
                    int(x["version"]), x["state"], x["status"]["error_message"]
                )
                for x in reply["model_version_status"]
            ]
        except Failure as failure:
            if failure.cause is Cause.NO_MODEL:
                return []
            raise
        except _FORM_ERRORS:
            raise Failure(Cause.STRANGER, json.dumps(reply)) from None

    def predict(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        version: int,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """See :class:`tfvqgen.client.transport.Transport`.

        Asks row by row: the server then writes a row's numbers on one line, and in the
        other form each on a line of its own behind many spaces.
        """
        columns = [value.tolist() for value in inputs.values()]
        rows = [
            dict(zip(inputs, row, strict=True)) for row in zip(*columns, strict=True)
        ]
        body = json.dumps({"signature_name": signature, "instances": rows})
        path = f"{self._path}{_version_path(version)}:predict"
        reply = self._request("POST", path, body.encode(), timeout)
        try:
            return columns_of(reply["predictions"], outputs)
        except _FORM_ERRORS as error:
            raise Failure(
                Cause.WRONG_REPLY, f"{type(error).__name__}: {error}"
            ) from None

    def close(self) -> None:
        """See :class:`tfvqgen.client.transport.Transport`."""

    def _request(self, method: str, path: str, body: bytes | None, timeout: float):
        """Returns the JSON object that the server answers."""
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        end = time.monotonic() + timeout
        # A connection of its own for each request: one that is kept open may have been
        # closed by the server when the next request comes.
        connection = kind(
            self._url.hostname, self._url.port, timeout=max(timeout, 0.01)
        )
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body, headers)
            # The connection lets go of it once it knows that it will be closed.
            sock = connection.sock
            reply = connection.getresponse()
            text = _read_of_rest_transport(reply, sock, end)
        except TimeoutError:
            raise Failure(Cause.TIMEOUT, f"nothing in {timeout:.1f} s") from None
        except http.client.RemoteDisconnected as error:
            raise Failure(Cause.UNAVAILABLE, str(error)) from None
        except http.client.IncompleteRead:
            raise Failure(Cause.UNAVAILABLE, _CUT) from None
        except http.client.BadStatusLine as error:
            if "HTTP/1.1 ".startswith(error.line):
                raise Failure(Cause.UNAVAILABLE, _CUT) from None
            detail = f"no HTTP: {error.line[:40]!a}"
            raise Failure(Cause.STRANGER, detail) from None
        except http.client.HTTPException as error:
            raise Failure(Cause.STRANGER, f"no HTTP: {error!r:.80}") from None
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Failure(Cause.UNAVAILABLE, str(error)) from None
        except ssl.SSLError as error:
            raise Failure(Cause.STRANGER, f"no TLS: {error}") from None
        # A UnicodeError is a host whose name can't be one.
        except (OSError, UnicodeError) as error:
            raise Failure(Cause.NOBODY, str(error)) from None
        finally:
            connection.close()
        return read_reply(reply.status, reply.headers.get_content_type(), text)


def read_reply(status: int, content_type: str, text: bytes) -> dict[str, Any]:
    """Returns the JSON object of a good reply.

    Raises:
        Failure: The reply is an error, or not TensorFlow Serving's.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if status == 200:
        if isinstance(value, dict):
            return value
        raise Failure(Cause.STRANGER, _shown(status, content_type, text))
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        detail = value["error"]
    # Older servers quote errors in the manner of C, which JSON can't always read. And
    # for a gateway before a server that is starting, nothing but the status counts.
    elif b'"error"' in text or status in (502, 503, 504):
        detail = _shown(status, content_type, text)
    else:
        raise Failure(Cause.STRANGER, _shown(status, content_type, text))
    if "Unrecognized servable version label" in detail:
        raise Failure(Cause.NO_VERSION, detail)
    if status == 504:
        detail += " (the server has a limit of its own, --rest_api_timeout_in_ms)"
    raise Failure(_CAUSES.get(status, Cause.OTHER), detail)


def columns_of(predictions: list, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns a reply's rows as columns by name.

    The only output of a signature comes without its name.

    Raises:
        ValueError: The rows do not belong together; or another of _FORM_ERRORS.
    """
    if len(outputs) == 1:
        return {outputs[0]: _column(predictions)}
    return {name: _column([row[name] for row in predictions]) for name in outputs}


def parse_url(address: str):
    """Returns the parts of a server's URL, with its port and without a slash behind it.

    Raises:
        UserError: It is not an address.
    """
    try:
        url = urlsplit(address if "://" in address else f"http://{address}")
        port = url.port
    except ValueError:
        url, port = None, None
    wrong = url is None or url.scheme not in ("http", "https") or not url.hostname
    if wrong or url.query or url.fragment or url.username or _UNFIT.search(address):
        raise UserError(
            "not an address for REST: expected host:port or http://host:port. "
            f"Received: {address!r}"
        )
    if port is None:
        port = 443 if url.scheme == "https" else DEFAULT_PORT
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return url._replace(netloc=f"{host}:{port}", path=url.path.rstrip("/"))


def _column(values: list) -> np.ndarray:
    first = values[0]
    if isinstance(first, dict):
        decoded = [base64.b64decode(value["b64"], validate=True) for value in values]
        return np.array(decoded, object)
    if isinstance(first, str):
        return np.array([value.encode() for value in values], object)
    return np.array(values)


def _version_path(version: int | str | None) -> str:
    if version is None:
        return ""
    if isinstance(version, str):
        return f"/labels/{quote(version, safe='')}"
    return f"/versions/{version}"


def _read_of_rest_transport(reply, sock, end: float) -> bytes:
    """Reads a reply to its end, in time."""
    chunks, size = [], 0
    while not reply.isclosed():
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock.settimeout(left)
        chunk = reply.read1(2**20)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise Failure(Cause.WRONG_REPLY, f"more than {MOST_BYTES} bytes")
    # Without a length there was an end within the head, if there is nothing.
    nothing = not size and reply.status == 200 and reply.length is None
    if reply.length or (nothing and not reply.chunked):
        raise http.client.IncompleteRead(b"", reply.length)
    return b"".join(chunks)


def _shown(status: int, content_type: str, text: bytes) -> str:
    start = text[:80].decode("utf-8", "replace")
    return f"status {status}, {content_type}: {start!r}"
