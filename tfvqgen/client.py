"""Generates cells with a running TensorFlow Serving, over gRPC or REST."""

# Shapes: N cells of H x W pixels and C channels; L labels.

import base64
import contextlib
import functools
import json
import random
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import numpy as np
import requests
from tqdm import tqdm

from tfvqgen.errors import UserError, require_in_range, require_package
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import Cells, check_rows

PORTS = {"grpc": 8500, "rest": 8501}
# Enough rows for efficient matrix products, few enough that a progress bar moves.
DEFAULT_ROWS = 16
# A longer reply is not read.
_MAX_REPLY_BYTES = 256 * 2**20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_MESSAGES = {
    "unreachable": "cannot reach TensorFlow Serving: expected a server that is ready, "
    "over {protocol} (port {port} by default)",
    "missing": "the server does not have this model or version, or is still loading "
    "it: expected one that is AVAILABLE",
    "refused": "the request was refused: expected values that the model accepts",
    "timeout": "the request timed out: expected an answer in time",
    "wrong reply": "the reply is wrong: expected TensorFlow Serving with a model that "
    "export.py wrote",
    "failed": "the server failed: expected an answer",
}
_RETRIED = ("unreachable", "missing")
# Reading a reply of another form raises one of these.
_WRONG_FORM = (AttributeError, LookupError, TypeError, ValueError)


class _Failure(Exception):
    """A request without an answer: a key of ``_MESSAGES`` and what was received."""


class Server(contextlib.AbstractContextManager):
    """A running TensorFlow Serving as a source of cells.

    All cells come from the version of the model that answers the first request. A
    request is repeated, after growing pauses, if the server cannot be reached, is
    overloaded or does not have the model yet. Proxies of the environment are not used.

    Args:
        address: ``host:port``; for REST also a URL before ``/v1``. The default port is
            8500 for gRPC and 8501 for REST.
        protocol: ``grpc`` (needs the extra ``serving``) or ``rest``.
        model: Name of the model on the server.
        version: Number or label of a version. Defaults to the newest.
        timeout: Seconds after which one request fails.
        retries: Number of times that a request is repeated.
        rows_per_request: Maximum number of cells in one request. Defaults to 16.

    Raises:
        UserError: An argument is wrong or a package is missing.
    """

    def __init__(
        self,
        address: str,
        protocol: str = "grpc",
        model: str = "tfvqgen",
        version: int | str | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 4,
        rows_per_request: int | None = None,
    ):
        if protocol not in PORTS:
            raise UserError(
                f"unknown protocol: expected {' or '.join(PORTS)}. "
                f"Received: protocol={protocol}"
            )
        require_in_range("timeout", timeout, 0 < timeout < np.inf, "seconds above 0")
        if isinstance(version, str) and version.isdecimal():
            version = int(version)
        transport = _Grpc if protocol == "grpc" else _Rest
        self._transport = transport(_parse_address(address, protocol), model, timeout)
        self._protocol = protocol
        self._requested_version = version
        self._version: int | None = None  # The first request sets it.
        self._retries = retries
        self._rows_per_request = rows_per_request
        chosen = "newest version" if version is None else f"version {version}"
        self._where = f"{protocol} at {address}, model {model}, {chosen}"

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._transport.close()

    @functools.cached_property
    def model_info(self) -> ModelInfo:
        """The description of the model, which is requested once.

        Raises:
            UserError: The server does not answer, or the model is not of this project.
        """

        def read(outputs):
            return ModelInfo.from_json(json.loads(outputs["about_json"][0]))

        row = {"row": np.zeros(1, np.int32)}
        return self._predict("about", row, ["about_json"], read)

    def generate(
        self, labels, seeds, temperature=1.0, top_p=1.0, guidance=0.0
    ) -> Cells:
        """Returns cells; see :class:`~tfvqgen.generation.request.Source`.

        The last three arguments may be one number for all rows. If several requests are
        needed, a progress bar is shown on stderr.

        Raises:
            UserError: A row is wrong, and nothing was sent; or the server fails.
        """
        info = self.model_info
        rows = check_rows(info, labels, seeds, temperature, top_p, guidance)
        size = self._rows_per_request or min(DEFAULT_ROWS, info.max_rows)
        expected = f"1 to {info.max_rows}"
        require_in_range("rows_per_request", size, 1 <= size <= info.max_rows, expected)
        # TensorFlow Serving cannot write uint16 as JSON, and bytes in base64 are
        # shorter than decimal numbers: REST gets the image as bytes.
        rest = self._protocol == "rest"
        signature = f"generate_multilabel{'_raw' if rest else ''}"
        names = ["image_bytes" if rest else "image", "top_codes", "bottom_codes"]
        starts = range(0, len(rows["seed"]), size)
        parts = []
        for start in tqdm(starts, "requests", unit="request", disable=len(starts) < 2):
            batch = {name: x[start : start + size] for name, x in rows.items()}
            read = functools.partial(read_cells, info, len(batch["seed"]))
            parts.append(self._predict(signature, batch, names, read))
        return Cells(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _predict(self, signature, inputs, names, read: Callable[[dict], Any]):
        """Runs a signature, and returns its outputs as `read` returns them."""
        transport = self._transport
        if self._version is None:
            requested = self._requested_version
            self._version = self._retried(lambda: transport.find_version(requested))
        version = self._version
        return self._retried(
            lambda: read(transport.predict(version, signature, inputs, names))
        )

    def _retried(self, request: Callable[[], Any]):
        """Returns the answer to a request, repeated while the server is not ready."""
        for attempt in range(self._retries + 1):
            try:
                return request()
            except _Failure as error:
                kind, detail = error.args
            except _WRONG_FORM as error:
                kind, detail = "wrong reply", f"{type(error).__name__}: {error}"
            if kind not in _RETRIED:
                break
            if attempt < self._retries:
                # The random part separates clients that failed together.
                longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
                time.sleep(longest * random.uniform(0.5, 1))
        protocol = self._protocol
        message = _MESSAGES[kind].format(protocol=protocol, port=PORTS[protocol])
        # After "[[{{" TensorFlow describes the place in its graph.
        detail = textwrap.shorten(str(detail).partition("[[{{")[0], 400)
        raise UserError(f"{message}. Received: {detail} ({self._where})")


def read_cells(
    model_info: ModelInfo, rows: int, outputs: dict[str, np.ndarray]
) -> Cells:
    """Returns the `rows` cells of a reply.

    `outputs` are ``top_codes``, ``bottom_codes``, and ``image`` or ``image_bytes``
    (bytes [N]: the values in the order [H, W, C], little endian). Integers may have 64
    bits.

    Raises:
        KeyError, ValueError: An output is missing, or a shape or type is wrong.
    """
    pixel = np.dtype(model_info.dtype)
    if "image_bytes" in outputs:
        flat = np.frombuffer(b"".join(outputs["image_bytes"]), pixel.newbyteorder("<"))
        outputs["image"] = flat.reshape(rows, *model_info.image_shape).astype(pixel)
    shapes = {
        "image": (model_info.image_shape, pixel),
        "top_codes": (model_info.top_shape, np.dtype(np.int32)),
        "bottom_codes": (model_info.bottom_shape, np.dtype(np.int32)),
    }
    for name, (shape, dtype) in shapes.items():
        value, shape = outputs[name], (rows, *shape)
        if value.shape != shape or value.dtype not in (dtype, np.int64):
            received = f"{value.dtype} {value.shape}"
            raise ValueError(f"{name} is {received}, expected {dtype} {shape}")
    return Cells(*(outputs[name].astype(dtype) for name, (_, dtype) in shapes.items()))


def _parse_address(address: str, protocol: str) -> SplitResult:
    """Returns the parts of an address, with the default port if it has none."""
    try:
        url = urlsplit(address if "://" in address else f"http://{address}")
        valid = bool(url.hostname) and url.scheme in ("http", "https")
        if not url.port and url.scheme == "http":
            url = url._replace(netloc=f"{url.netloc}:{PORTS[protocol]}")
    except ValueError:
        valid = False
    if protocol == "grpc":
        valid = valid and "://" not in address and not url.path
    if not valid:
        expected = "host:port" + " or http://host:port" * (protocol == "rest")
        raise UserError(
            f"not an address for {protocol}: expected {expected}. Received: {address!r}"
        )
    return url._replace(path=url.path.rstrip("/"))


class _Rest:
    """Talks to one model over REST."""

    # 504: the server's own limit, --rest_api_timeout_in_ms.
    _KINDS = {400: "refused", 404: "missing", 504: "timeout"}
    _KINDS |= dict.fromkeys((429, 502, 503), "unreachable")

    def __init__(self, address: SplitResult, model: str, timeout: float):
        self._url = f"{address.geturl()}/v1/models/{quote(model, safe='')}"
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        self.close = self._session.close

    def find_version(self, version: int | str | None) -> int:
        path = ""
        if version is not None:
            kind = "labels" if isinstance(version, str) else "versions"
            path = f"/{kind}/{quote(str(version), safe='')}"
        reply = self._request("GET", f"{path}/metadata")
        return int(reply["model_spec"]["version"])

    def predict(self, version: int, signature: str, inputs, names: Sequence[str]):
        columns = [value.tolist() for value in inputs.values()]
        # The server writes a reply by rows more compactly than one by columns.
        rows = zip(*columns, strict=True)
        instances = [dict(zip(inputs, row, strict=True)) for row in rows]
        body = {"signature_name": signature, "instances": instances}
        reply = self._request("POST", f"/versions/{version}:predict", body)
        rows = reply["predictions"]
        if len(names) == 1:
            # The only output of a signature comes without its name.
            rows = [{names[0]: row} for row in rows]
        outputs = {name: np.array([row[name] for row in rows]) for name in names}
        if "image_bytes" in outputs:
            encoded = outputs["image_bytes"]
            outputs["image_bytes"] = [base64.b64decode(x["b64"]) for x in encoded]
        return outputs

    def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        try:
            options = {"allow_redirects": False, "stream": True}
            reply = self._session.request(
                method, self._url + path, json=body, timeout=self._timeout, **options
            )
            data = bytearray()
            for chunk in reply.iter_content(2**20):
                data += chunk
                if len(data) > _MAX_REPLY_BYTES:
                    raise _Failure("wrong reply", f"more than {_MAX_REPLY_BYTES} bytes")
        except requests.Timeout as error:
            raise _Failure("timeout", error) from None
        except requests.RequestException as error:
            raise _Failure("unreachable", error) from None
        if reply.status_code == 200:
            return json.loads(data)
        try:
            detail = json.loads(data)["error"]
        except _WRONG_FORM:
            detail = f"status {reply.status_code}, {bytes(data[:80])!r}"
        raise _Failure(self._KINDS.get(reply.status_code, "failed"), detail)


class _Grpc:
    """Talks to one model over gRPC, without encryption."""

    _KINDS = {
        "UNAVAILABLE": "unreachable",
        "NOT_FOUND": "missing",
        "INVALID_ARGUMENT": "refused",
        "FAILED_PRECONDITION": "refused",
        "DEADLINE_EXCEEDED": "timeout",
    }
    _OPTIONS = (
        ("grpc.max_receive_message_length", _MAX_REPLY_BYTES),
        ("grpc.max_send_message_length", _MAX_REPLY_BYTES),
        # With the default pauses gRPC fails an attempt without a new connection.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 200),
        ("grpc.enable_http_proxy", 0),
    )

    def __init__(self, address: SplitResult, model: str, timeout: float):
        require_package("tensorflow_serving", "serving")
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc as service

        self._error = grpc.RpcError
        self._model = model
        self._timeout = timeout
        channel = grpc.insecure_channel(address.netloc, self._OPTIONS)
        self._predictions = service.PredictionServiceStub(channel)
        self.close = channel.close

    def find_version(self, version: int | str | None) -> int:
        from tensorflow_serving.apis import get_model_metadata_pb2 as metadata

        request = metadata.GetModelMetadataRequest(metadata_field=["signature_def"])
        reply = self._call(self._predictions.GetModelMetadata, request, version)
        return reply.model_spec.version.value

    def predict(self, version: int, signature: str, inputs, names: Sequence[str]):
        import tensorflow as tf
        from tensorflow_serving.apis.predict_pb2 import PredictRequest

        protos = {name: tf.make_tensor_proto(x) for name, x in inputs.items()}
        request = PredictRequest(inputs=protos)
        request.model_spec.signature_name = signature
        outputs = self._call(self._predictions.Predict, request, version).outputs
        return {n: tf.make_ndarray(x) for n, x in outputs.items() if n in names}

    def _call(self, method, request, version: int | str | None):
        request.model_spec.name = self._model
        if isinstance(version, str):
            request.model_spec.version_label = version
        elif version is not None:
            request.model_spec.version.value = version
        try:
            return method(request, timeout=self._timeout)
        except self._error as error:
            kind = self._KINDS.get(error.code().name, "failed")
            raise _Failure(kind, error.details() or error.code().name) from None
