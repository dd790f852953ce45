"""Talking to TensorFlow Serving over gRPC."""

import re
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np

from tfvqgen.client.failure import Cause, Failure
from tfvqgen.client.transport import MOST_BYTES, Served, VersionState
from tfvqgen.errors import UserError

DEFAULT_PORT = 8500

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(?P<port>:\d+)?")
_OPTIONS = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", MOST_BYTES),
    # Pauses are the client's; gRPC's own would make attempts fail without a try.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
)
# What gRPC says when the other side speaks, but not HTTP/2.
_NOT_GRPC = ("Failed parsing HTTP/2", "http1.x")
_NO_CONNECTION = ("failed to connect", "errors resolving", "name resolution")


class GrpcTransport:
    """Talks to one model over gRPC, without encryption.

    The messages are those of the package tensorflow-serving-api, which imports all of
    TensorFlow (about 2 seconds and 0.6 GB); :class:`RestTransport` needs neither.

    Args:
        address: ``host:port``; the port may be left out.
        model: Its name on the server.

    Raises:
        UserError: The address is not one, or a package is missing.
    """

    protocol = f"gRPC, as a rule at port {DEFAULT_PORT}"

    def __init__(self, address: str, model: str):
        self._model = model
        self._api = _import_api()
        self.address = with_port(address)
        self._channel = self._api.grpc.insecure_channel(self.address, list(_OPTIONS))
        self._predictions = self._api.prediction.PredictionServiceStub(self._channel)
        self._models = self._api.model.ModelServiceStub(self._channel)

    def served(self, version: int | str | None, timeout: float) -> Served:
        """See :class:`tfvqgen.client.transport.Transport`."""
        request = self._api.get_model_metadata.GetModelMetadataRequest(
            model_spec=self._spec(version), metadata_field=["signature_def"]
        )
        reply = self._call(self._predictions.GetModelMetadata, request, timeout)
        signatures = self._api.get_model_metadata.SignatureDefMap()
        reply.metadata["signature_def"].Unpack(signatures)
        return Served(
            reply.model_spec.version.value, frozenset(signatures.signature_def)
        )

    def states(self, timeout: float) -> list[VersionState]:
        """See :class:`tfvqgen.client.transport.Transport`."""
        status = self._api.get_model_status
        request = status.GetModelStatusRequest(model_spec=self._spec(None))
        try:
            reply = self._call(self._models.GetModelStatus, request, timeout)
        except Failure as failure:
            if failure.cause is Cause.NO_MODEL:
                return []
            raise
        name_of = status.ModelVersionStatus.State.Name
        return [
            VersionState(x.version, name_of(x.state), x.status.error_message)
            for x in reply.model_version_status
        ]

    def predict(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        version: int,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """See :class:`tfvqgen.client.transport.Transport`."""
        request = self._api.predict.PredictRequest(model_spec=self._spec(version))
        request.model_spec.signature_name = signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(
                self._api.tensor_util.make_tensor_proto(value)
            )
        reply = self._call(self._predictions.Predict, request, timeout)
        try:
            return {
                name: self._api.tensor_util.MakeNdarray(reply.outputs[name])
                for name in outputs
                if name in reply.outputs
            }
        except (TypeError, ValueError) as error:
            raise Failure(Cause.WRONG_REPLY, str(error)) from None

    def close(self) -> None:
        """See :class:`tfvqgen.client.transport.Transport`."""
        self._channel.close()

    def _spec(self, version: int | str | None):
        spec = self._api.model_spec.ModelSpec(name=self._model)
        if isinstance(version, str):
            spec.version_label = version
        elif version is not None:
            spec.version.value = version
        return spec

    def _call(self, method, request, timeout):
        try:
            return method(request, timeout=timeout)
        except self._api.grpc.RpcError as error:
            code, detail = error.code().name, error.details() or error.code().name
            cause = cause_of(code, detail)
            raise Failure(cause, detail.rpartition("last error: ")[2]) from None


def cause_of(code: str, detail: str) -> Cause:
    """Returns why a call failed, of gRPC's status code and what was said of it."""
    if "Unrecognized servable version label" in detail:
        return Cause.NO_VERSION
    match code:
        case "UNAVAILABLE" if any(words in detail for words in _NOT_GRPC):
            return Cause.STRANGER
        case "UNAVAILABLE" if any(words in detail for words in _NO_CONNECTION):
            return Cause.NOBODY
        case "UNAVAILABLE":
            return Cause.UNAVAILABLE
        # A gRPC server of other services.
        case "UNIMPLEMENTED":
            return Cause.STRANGER
        case "NOT_FOUND":
            return Cause.NO_MODEL
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE":
            return Cause.REFUSED
        case "DEADLINE_EXCEEDED":
            return Cause.TIMEOUT
    return Cause.OTHER


def with_port(address: str) -> str:
    """Returns an address with its port.

    Raises:
        UserError: It is not an address as gRPC has it.
    """
    found = _ADDRESS.fullmatch(address)
    # gRPC itself takes larger ports modulo 65536.
    if not found or int((found["port"] or ":0")[1:]) > 65535:
        raise UserError(
            "not an address for gRPC: expected host:port, without http:// before or a "
            f"path behind it. Received: {address!r}"
        )
    return address if found["port"] else f"{address}:{DEFAULT_PORT}"


def _import_api() -> SimpleNamespace:
    try:
        import grpc
        from tensorflow.python.framework import tensor_util
        from tensorflow_serving.apis import (
            get_model_metadata_pb2,
            get_model_status_pb2,
            model_pb2,
            model_service_pb2_grpc,
            predict_pb2,
            prediction_service_pb2_grpc,
        )
    except ImportError as error:
        raise UserError(
            "tensorflow-serving-api is not installed: expected the extra `serving` "
            "(pip install 'tfvqgen[serving]'), or the protocol rest, which needs "
            f"nothing. Received: {error}"
        ) from None
    return SimpleNamespace(
        grpc=grpc,
        tensor_util=tensor_util,
        get_model_metadata=get_model_metadata_pb2,
        get_model_status=get_model_status_pb2,
        model_spec=model_pb2,
        model=model_service_pb2_grpc,
        predict=predict_pb2,
        prediction=prediction_service_pb2_grpc,
    )
