"""Servers on loopback that answer as TensorFlow Serving does.

``grpc_server(folder)`` and ``rest_server(folder)`` serve a SavedModel, or the newest
version of a folder of them, over a real port, which they yield, until their block ends.
What a :class:`ServedModel` can do besides (fail, wait, take another version), they do
if they are given one.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from http.server import ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tests.client.rest_handler import RestHandler
from tests.client.served_model import Refused, ServedModel


@contextlib.contextmanager
def grpc_server(model: Path | ServedModel, port: int = 0) -> Iterator[int]:
    """Serves a model over gRPC; yields the port."""
    model = _served(model)
    # As the server, which takes messages of any length.
    unlimited = [("grpc.max_receive_message_length", -1)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=unlimited)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        _Predictions(model), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Models(model), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(model: Path | ServedModel, port: int = 0) -> Iterator[int]:
    """Serves a model over REST; yields the port."""
    handler = type("Handler", (RestHandler,), {"model": _served(model)})
    server = _QuietServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    with _running(lambda: server.serve_forever(poll_interval=0.02)):
        try:
            yield server.server_port
        finally:
            server.shutdown()
            server.server_close()


@contextlib.contextmanager
def socket_server(answer: Callable[[socket.socket, int], None]) -> Iterator[int]:
    """Listens on a port and leaves each connection, with its number, to `answer`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run():
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    answer(connection, number)
                number += 1

        with _running(run):
            yield listener.getsockname()[1]
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _running(target: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    yield
    thread.join(10)


@contextlib.contextmanager
def cutting_proxy(port: int, cuts: int, after: int) -> Iterator[int]:
    """Forwards connections to a port, and cuts some of them within the answer.

    Args:
        port: Where the server is.
        cuts: So many connections are cut, from the first on.
        after: Bytes of the server's that are let through before.
    """

    def forward(source, sink, most):
        with contextlib.suppress(OSError):
            while most > 0 and (data := source.recv(min(most, 2**16))):
                sink.sendall(data)
                most -= len(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def answer(connection, number):
        with socket.create_connection(("127.0.0.1", port)) as server:
            most = after if number < cuts else 2**40
            with _running(lambda: forward(connection, server, 2**40)):
                forward(server, connection, most)

    with socket_server(answer) as proxy:
        yield proxy


def free_port() -> int:
    """Returns a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Says nothing of clients that went away."""


def _served(model: Path | ServedModel) -> ServedModel:
    return model if isinstance(model, ServedModel) else ServedModel(model)


class _Predictions(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: ServedModel):
        self._model = model

    def Predict(self, request, context):
        spec = request.model_spec
        with _refusals(context):
            version, outputs = self._model.predict(
                spec.name,
                *_choice(spec),
                spec.signature_name or "serving_default",
                {name: _array(name, x) for name, x in request.inputs.items()},
                request.output_filter,
            )
        reply = predict_pb2.PredictResponse()
        reply.model_spec.name = spec.name
        reply.model_spec.version.value = version
        for name, value in outputs.items():
            reply.outputs[name].CopyFrom(as_fields(value))
        return reply

    def GetModelMetadata(self, request, context):
        with _refusals(context):
            version, model = self._model.find(
                request.model_spec.name, *_choice(request.model_spec)
            )
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        reply.model_spec.name = request.model_spec.name
        reply.model_spec.version.value = version
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name in model.signatures:
            signatures.signature_def[name].method_name = "tensorflow/serving/predict"
        reply.metadata["signature_def"].Pack(signatures)
        return reply


class _Models(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, model: ServedModel):
        self._model = model

    def GetModelStatus(self, request, context):
        spec = request.model_spec
        with _refusals(context):
            states = self._model.status(spec.name, _choice(spec)[0])
        reply = get_model_status_pb2.GetModelStatusResponse()
        for version, state in states:
            reply.model_version_status.add(version=version, state=state)
        return reply


def _array(name: str, tensor) -> np.ndarray:
    try:
        if any(dim.size < 0 for dim in tensor.tensor_shape.dim):
            raise ValueError("a negative dimension")
        return tf.make_ndarray(tensor)
    except (ValueError, TypeError, KeyError):
        raise Refused("INVALID_ARGUMENT", f"tensor parsing error: {name}") from None


def as_fields(value: np.ndarray):
    """Returns a tensor with a field a number, as the server sends it by default."""
    if value.dtype == object or value.dtype.kind not in "iu":
        return tf.make_tensor_proto(value)
    proto = tf.make_tensor_proto(value[:0])
    proto.ClearField("tensor_content")
    del proto.tensor_shape.dim[:]
    for size in value.shape:
        proto.tensor_shape.dim.add(size=size)
    field = proto.int64_val if value.dtype == np.int64 else proto.int_val
    field.extend(value.ravel().tolist())
    return proto


def _choice(spec) -> tuple[int | None, str | None]:
    match spec.WhichOneof("version_choice"):
        case "version":
            return spec.version.value, None
        case "version_label":
            return None, spec.version_label
    return None, None


@contextlib.contextmanager
def _refusals(context) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        context.abort(grpc.StatusCode[error.code], error.message)
