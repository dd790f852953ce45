"""A SavedModel that answers as TensorFlow Serving does, whatever the protocol."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf


class Refused(Exception):
    """An answer that is an error.

    Attributes:
        code: gRPC's name of it.
        message: What the server says.
    """

    def __init__(self, code: str, message: str):
        super().__init__(code, message)
        self.code = code
        self.message = message


class ServedModel:
    """The versions of a model under one folder.

    Args:
        folder: With a folder a version, named by its number; or a version itself.
        name: The model's name on the server.
        labels: The server's names of versions.
        before: Called with the name of each signature before it runs; may wait, and
            may raise :class:`Refused`.
        after: Called with the outputs by name, returns what is sent instead.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "tfvqgen",
        labels: dict[str, int] | None = None,
        before: Callable[[str], None] | None = None,
        after: Callable[[dict], dict] | None = None,
    ):
        self._folder = Path(folder)
        self._name = name
        self._labels = labels or {}
        self._before = before or (lambda signature: None)
        self._after = after or (lambda outputs: outputs)
        self.calls: list[tuple[str, int]] = []
        self.states: dict[int, str] = {}
        self._models = {}
        self.load()

    def load(self) -> None:
        """Loads the newest version and drops the others, as the server does by default.

        A label keeps its version.
        """
        folders = {int(x.name): x for x in self._folder.iterdir() if x.name.isdigit()}
        if not folders:
            folders = {1: self._folder}
        wanted = {max(folders), *self._labels.values()}
        for version in self.states:
            self.states[version] = "END"
        self._models = {version: _loaded(str(folders[version])) for version in wanted}
        self.states |= dict.fromkeys(wanted, "AVAILABLE")

    def status(self, name: str, version: int | None = None) -> list[tuple[int, str]]:
        """Returns the states of the versions."""
        if name != self._name:
            raise Refused("NOT_FOUND", f"Could not find any versions of model {name}")
        found = [(x, y) for x, y in self.states.items() if version in (None, x)]
        if not found:
            raise Refused(
                "NOT_FOUND", f"Could not find version {version} of model {name}"
            )
        return sorted(found, reverse=True)

    def find(self, name: str, version: int | None, label: str | None):
        """Returns the version that answers, and its model."""
        if label is not None:
            if name != self._name or label not in self._labels:
                raise Refused(
                    "INVALID_ARGUMENT", f"Unrecognized servable version label: {label}"
                )
            version = self._labels[label]
        available = [x for x, state in self.states.items() if state == "AVAILABLE"]
        chosen = max(available, default=None) if version is None else version
        if name != self._name or chosen not in available:
            what = (
                f"Latest({name})" if version is None else f"Specific({name}, {version})"
            )
            raise Refused("NOT_FOUND", f"Servable not found for request: {what}")
        return chosen, self._models[chosen]

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
        self._before(signature)
        version, model = self.find(name, version, label)
        function = model.signatures.get(signature)
        if function is None:
            raise Refused(
                "FAILED_PRECONDITION", f'Serving signature key "{signature}" not found.'
            )
        specs = function.structured_input_signature[1]
        if set(specs) != set(inputs):
            raise Refused(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(specs)}",
            )
        for key, spec in specs.items():
            if not spec.shape.is_compatible_with(np.shape(inputs[key])):
                raise Refused(
                    "INVALID_ARGUMENT", f"input {key} must have shape {spec.shape}"
                )
        self.calls.append((signature, len(next(iter(inputs.values())))))
        try:
            outputs = function(**{k: tf.constant(v) for k, v in inputs.items()})
        except tf.errors.InvalidArgumentError as error:
            raise Refused("INVALID_ARGUMENT", error.message) from None
        outputs = self._after({key: x.numpy() for key, x in outputs.items()})
        if unknown := [key for key in wanted if key not in outputs]:
            raise Refused(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {unknown[0]}",
            )
        return version, {key: outputs[key] for key in wanted or outputs}


@functools.cache
def _loaded(path: str):
    # Loading takes longest of all; several servers of a model share it.
    return tf.saved_model.load(path)


def unavailable(times: int, code: str = "UNAVAILABLE") -> Callable[[str], None]:
    """Returns a `before` that fails so many times and then no more."""
    left = [times]

    def before(signature):
        del signature
        if left[0]:
            left[0] -= 1
            raise Refused(code, "the queue is full")

    return before
