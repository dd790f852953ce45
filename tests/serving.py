"""An imitation of TensorFlow Serving in this process, over gRPC and REST.

Paths, bodies, status codes and types follow the documentation of TensorFlow Serving.
The graph of the model gets whatever a client sends, as in the real server.
"""

import base64
import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    predict_pb2,
    prediction_service_pb2_grpc,
)


class Refused(Exception):
    """An answer that is an error: the name of the gRPC code, and a message."""

    def __init__(self, code: str, message: str):
        super().__init__(code, message)
        self.code = code
        self.message = message


class FakeServing:
    """The state of the server, which tests change.

    Args:
        model: The signatures of an export; called with a name and inputs.

    Attributes:
        states: The states of the versions, all of which are this model.
        labels: Versions by label.
        requests: Version, signature and number of rows of each request so far.
        before: Called with the signature before it runs; may raise :class:`Refused`.
        after: Returns the outputs to send, given those of the model.
        ports: Ports by protocol, while the server runs.
    """

    def __init__(self, model):
        self.model = model
        self.ports: dict[str, int] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets the changes of a test."""
        self.states = {1: "AVAILABLE"}
        self.labels = {"stable": 1}
        self.requests: list[tuple[int, str, int]] = []
        self.before: Callable[[str], None] = lambda signature: None
        self.after: Callable[[dict], dict] = lambda outputs: outputs

    def status(self, name: str) -> list[dict[str, str]]:
        """Returns the states of all versions, the newest first."""
        if name != "tfvqgen":
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
        states = sorted(self.states.items(), reverse=True)
        return [{"version": str(number), "state": state} for number, state in states]

    def find(self, name: str, version: int | str | None) -> int:
        """Returns the version that answers, given a number, a label or None."""
        if isinstance(version, str):
            if version not in self.labels:
                message = f"Unrecognized servable version label: {version}"
                raise Refused("INVALID_ARGUMENT", message)
            version = self.labels[version]
        available = [x for x, state in self.states.items() if state == "AVAILABLE"]
        if version is None:
            version = max(available, default=None)
        if name != "tfvqgen" or version not in available:
            message = f"Servable not found for request: {name} {version}"
            raise Refused("NOT_FOUND", message)
        return version

    def predict(self, name: str, version, signature: str, inputs: dict):
        """Runs a signature; returns the version that did and the outputs."""
        version = self.find(name, version)
        self.before(signature)
        if set(inputs) != set(self.spec(signature).inputs):
            raise Refused("INVALID_ARGUMENT", "input size does not match signature")
        self.requests.append((version, signature, len(next(iter(inputs.values())))))
        try:
            outputs = self.model(signature, inputs)
        except tf.errors.InvalidArgumentError as error:
            raise Refused("INVALID_ARGUMENT", error.message) from None
        return version, self.after(outputs)

    def spec(self, signature: str):
        """Returns the ``SignatureDef`` of a signature."""
        if signature not in self.model.signatures:
            message = f'Serving signature key "{signature}" not found.'
            raise Refused("FAILED_PRECONDITION", message)
        return self.model.signatures[signature]

    @contextlib.contextmanager
    def running(self) -> Iterator["FakeServing"]:
        """Listens at a port for each protocol until the block ends."""
        grpc_server = grpc.server(futures.ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _Predictions(self), grpc_server
        )
        handler = type("Handler", (_RestHandler,), {"serving": self})
        rest_server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        rest_server.daemon_threads = True
        self.ports = {
            "grpc": grpc_server.add_insecure_port("127.0.0.1:0"),
            "rest": rest_server.server_port,
        }
        grpc_server.start()
        thread = threading.Thread(target=rest_server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield self
        finally:
            grpc_server.stop(None).wait()
            rest_server.shutdown()
            thread.join()
            rest_server.server_close()


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, serving: FakeServing):
        self._serving = serving

    def Predict(self, request, context):
        spec = request.model_spec
        inputs = {name: tf.make_ndarray(x) for name, x in request.inputs.items()}
        with _refusals(context):
            version, outputs = self._serving.predict(
                spec.name, _version(spec), spec.signature_name, inputs
            )
        reply = predict_pb2.PredictResponse()
        reply.model_spec.version.value = version
        for name, value in outputs.items():
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return reply

    def GetModelMetadata(self, request, context):
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        with _refusals(context):
            spec = request.model_spec
            version = self._serving.find(spec.name, _version(spec))
        reply.model_spec.version.value = version
        return reply


def _version(spec) -> int | str | None:
    match spec.WhichOneof("version_choice"):
        case "version":
            return spec.version.value
        case "version_label":
            return spec.version_label
    return None


@contextlib.contextmanager
def _refusals(context) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        context.abort(grpc.StatusCode[error.code], error.message)


_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)"
    r"(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<what>/metadata|:predict)?"
)
_HTTP = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "NOT_FOUND": 404,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


class _RestHandler(BaseHTTPRequestHandler):
    serving: FakeServing
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = _PATH.fullmatch(self.path)
        try:
            if found is None:
                raise Refused("INVALID_ARGUMENT", f"Malformed request: {self.path}")
            version = int(found["version"]) if found["version"] else None
            if found["label"]:
                version = unquote(found["label"])
            reply, status = self._answer(found, version, body), 200
        except Refused as error:
            reply, status = {"error": error.message}, _HTTP[error.code]
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET

    def log_message(self, *args):
        """Prints nothing."""

    def _answer(self, found, version, body) -> dict:
        name = unquote(found["name"])
        if found["what"] is None:
            return {"model_version_status": self.serving.status(name)}
        number = self.serving.find(name, version)
        if found["what"] == "/metadata":
            return {"model_spec": {"name": name, "version": str(number)}}
        request = json.loads(body)
        signature = request["signature_name"]
        spec = self.serving.spec(signature)
        rows = request["instances"]
        if not isinstance(rows[0], dict):
            # The only input needs no name.
            rows = [dict.fromkeys(spec.inputs, row) for row in rows]
        inputs = {
            key: np.array(
                [row[key] for row in rows], tf.as_dtype(tensor.dtype).as_numpy_dtype
            )
            for key, tensor in spec.inputs.items()
        }
        _, outputs = self.serving.predict(name, version, signature, inputs)
        return {"predictions": _rows(outputs)}


def _rows(outputs: dict[str, np.ndarray]) -> list:
    columns = [_json(name, value) for name, value in outputs.items()]
    if len(columns) == 1:
        return columns[0]
    return [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]


def _json(name: str, value: np.ndarray) -> list:
    if value.dtype == object and name.endswith("_bytes"):
        return [{"b64": base64.b64encode(x).decode()} for x in value]
    if value.dtype == object:
        return [x.decode() for x in value]
    if value.dtype == np.uint16:
        message = "Failed to write JSON value for tensor type: uint16"
        raise Refused("INVALID_ARGUMENT", message)
    return value.tolist()
