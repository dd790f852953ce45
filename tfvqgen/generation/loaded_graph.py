"""An export loaded as the server loads it: one graph, one session, signatures."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

_TAGS = ("serve",)


class LoadedGraph:
    """The signatures of a SavedModel.

    ``tf.saved_model.load`` would make a Python function of every graph first, and would
    look at shapes before a graph does; the server does neither.

    Args:
        path: The folder with ``saved_model.pb``.

    Attributes:
        meta_graph: What the file says, a ``MetaGraphDef``.
        signatures: From a name to its ``SignatureDef``.

    Raises:
        tf.errors.OpError, OSError, ValueError: It is damaged, or no SavedModel.
    """

    def __init__(self, path: str | os.PathLike):
        graph = tf.Graph()
        with graph.as_default():
            self._session = tf.compat.v1.Session(graph=graph)
            self.meta_graph = tf.compat.v1.saved_model.load(
                self._session, _TAGS, os.fspath(path)
            )
        self.signatures = {
            name: signature
            for name, signature in self.meta_graph.signature_def.items()
            if not name.startswith("__")
        }
        self._calls: dict[str, Callable] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Asks a signature.

        Args:
            name: The signature's.
            inputs: Arrays by input; all of them.

        Returns:
            Arrays by output.

        Raises:
            tf.errors.InvalidArgumentError: The graph refuses the inputs.
        """
        signature = self.signatures[name]
        with self._lock:
            if name not in self._calls:
                self._calls[name] = self._prepare(signature)
        fed = [
            np.asarray(
                inputs[key], tf.as_dtype(signature.inputs[key].dtype).as_numpy_dtype
            )
            for key in sorted(signature.inputs)
        ]
        return dict(
            zip(sorted(signature.outputs), self._calls[name](*fed), strict=True)
        )

    def close(self) -> None:
        """Frees the weights."""
        self._session.close()

    def _prepare(self, signature) -> Callable:
        # Session.run compares shapes with the signature's, which servers leave to the
        # graph; that is what is to be seen here.
        return self._session._make_callable_from_options(
            config_pb2.CallableOptions(
                feed=[signature.inputs[key].name for key in sorted(signature.inputs)],
                fetch=[
                    signature.outputs[key].name for key in sorted(signature.outputs)
                ],
            )
        )
