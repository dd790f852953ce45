"""Loads an export as a server does, without Keras and the rest of this project."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

_TAGS = ("serve",)


class LoadedGraph:
    """The signatures of a SavedModel, in one graph and one session.

    ``tf.saved_model.load`` would first make a Python function of every graph, which
    takes longer, and would refuse wrong shapes before the graph can.

    Args:
        path: The folder with ``saved_model.pb``.

    Attributes:
        meta_graph: The content of the file, a ``MetaGraphDef``.
        signatures: The ``SignatureDef`` of each signature by name.

    Raises:
        tf.errors.OpError, OSError, ValueError: It is damaged, or not a SavedModel.
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
        """Runs the signature `name` with arrays by input; returns arrays by output.

        Raises:
            tf.errors.InvalidArgumentError: The graph refuses the inputs.
        """
        signature = self.signatures[name]
        keys, outputs = sorted(signature.inputs), sorted(signature.outputs)
        with self._lock:
            if name not in self._calls:
                # Session.run would check shapes, which servers leave to the graph.
                self._calls[name] = self._session._make_callable_from_options(
                    config_pb2.CallableOptions(
                        feed=[signature.inputs[key].name for key in keys],
                        fetch=[signature.outputs[key].name for key in outputs],
                    )
                )
        types = [tf.as_dtype(signature.inputs[key].dtype) for key in keys]
        values = [
            np.asarray(inputs[key], dtype.as_numpy_dtype)
            for key, dtype in zip(keys, types, strict=True)
        ]
        return dict(zip(outputs, self._calls[name](*values), strict=True))
