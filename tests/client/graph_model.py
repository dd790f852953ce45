"""A SavedModel that answers as TensorFlow Serving does, down to its graph.

:class:`tests.client.served_model.ServedModel` calls Python functions, which look at
shapes before a graph does. This one feeds a session whatever was sent.

``python -m tests.client.graph_model FOLDER`` serves a folder of versions over gRPC in
a process of its own: it prints the port and ends when its standard input does.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tests.client.served_model import Refused, ServedModel
from tfvqgen.export.verification.loaded import Loaded


class GraphModel(ServedModel):
    """The newest version of a model under one folder, or a version itself."""

    def load(self) -> None:
        """Loads it as the server does."""
        found = {int(x.name): x for x in self._folder.iterdir() if x.name.isdigit()}
        version = max(found, default=1)
        self._models = {version: Loaded(found.get(version, self._folder))}
        self.states = {version: "AVAILABLE"}

    def predict(
        self,
        name: str,
        version: int | None,
        label: str | None,
        signature: str,
        inputs: dict[str, np.ndarray],
        wanted: Sequence[str] = (),
    ) -> tuple[int, dict[str, np.ndarray]]:
        """Runs a signature; returns the version that did and the outputs."""
        version, model = self.find(name, version, label)
        spec = model.signatures.get(signature)
        if spec is None:
            raise Refused(
                "FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.'
            )
        _check_inputs(spec, inputs)
        if unknown := [key for key in wanted if key not in spec.outputs]:
            raise Refused(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {unknown[0]}",
            )
        try:
            outputs = model(signature, inputs)
        except tf.errors.InvalidArgumentError as error:
            raise Refused("INVALID_ARGUMENT", error.message) from None
        return version, {key: outputs[key] for key in wanted or outputs}


def _check_inputs(spec, inputs: dict[str, np.ndarray]) -> None:
    """Refuses other names and types, which the server does before a graph runs."""
    if set(spec.inputs) != set(inputs):
        raise Refused(
            "INVALID_ARGUMENT",
            f"input size does not match signature: {len(inputs)}!={len(spec.inputs)}",
        )
    for key, value in inputs.items():
        wanted, found = tf.as_dtype(spec.inputs[key].dtype), tf.as_dtype(value.dtype)
        if wanted != found:
            raise Refused(
                "INVALID_ARGUMENT",
                f"input {key} expects to be {wanted.name} but {found.name} is provided",
            )


def main(folder: str) -> None:
    """Serves until standard input ends."""
    from tests.client.loopback import grpc_server

    tf.get_logger().setLevel("ERROR")
    with grpc_server(GraphModel(Path(folder))) as port:
        print(port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
