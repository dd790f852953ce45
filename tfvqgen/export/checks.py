"""The checks of an export, which run in a process without Keras and this project."""

# Shapes: B rows; H x W pixels, C channels.

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import kernels, op_def_registry

from tfvqgen.export.examples import WARM_UP, example_rows, wrong_rows
from tfvqgen.generation.loaded_graph import LoadedGraph

SIGNATURES = {
    *("serving_default", "generate", "generate_png", "generate_multilabel"),
    *("generate_multilabel_raw", "encode", "decode", "reconstruct", "score"),
    *("complete", "class_names", "about"),
}
_ROWS = 5
_LATER_REQUESTS = 5
# Between batch sizes a code may differ by rounding, in one map of so many.
_MAPS_PER_DIFFERENCE = 1000
_BIT_TOLERANCE = 1e-3
# Graphs, assets and warm-up requests, in addition to the weights.
_OTHER_BYTES = 2_500_000
_SHARE_OF_WEIGHTS = 1.05
# TensorFlow in Python has these operations, the stock server does not: calls of Python,
# and operations for XLA and TPUs.
_NOT_IN_SERVER = ("PyFunc", "EagerPyFunc", "Xla", "TPU", "Tpu", "_TPU", "_Xla")
_COMPILED = ("_XlaMustCompile", "_XlaCompile")
# The other checks need these.
_NEEDED = ("loads", "has every signature")
_SELECTIONS = {
    "warm_up": ("loads", "replays its warm-up"),
    "times": ("loads", "first and later requests", "contains only what it needs"),
}


def main(path: str, only: str | None = None) -> None:
    """Runs the checks and prints the results as one line of JSON."""
    verification = Verification(path)
    verification.run(only)
    found = {"checks": verification.checks, "metrics": verification.metrics}
    print(json.dumps(found), flush=True)


class Verification:
    """The checks of the version in the folder `path`.

    Attributes:
        checks: The results: ``name``, ``ok`` and ``detail`` each.
        metrics: Seconds, bytes and megabytes by name.
    """

    def __init__(self, path: str):
        self.checks: list[dict] = []
        self.metrics: dict[str, float] = {}
        self._path = Path(path)
        self._model_info: dict = {}
        self._graph: LoadedGraph | None = None

    def run(self, only: str | None = None) -> None:
        """Runs all checks, or a selection."""
        checks: dict[str, Callable] = {
            "loads": self._load,
            "has every signature": self._signatures,
            "first and later requests": self._times,
            "replays its warm-up": self._warm_up,
            "rows do not depend on their batch": self._batches,
            "refuses wrong rows": self._refusals,
            "operations of the stock server": self._operations,
            "can be batched": self._batching,
            "contains only what it needs": self._size,
        }
        for name in _SELECTIONS[only] if only else checks:
            if not self._check(name, checks[name]) and name in _NEEDED:
                return
        self.metrics["peak_memory_megabytes"] = _peak_megabytes()

    def _check(self, name: str, check: Callable[[], tuple[list[str], str]]) -> bool:
        try:
            faults, detail = check()
        except Exception as error:
            lines = [x for x in str(error).splitlines() if x]
            lines = [x for x in lines if "Graph execution" not in x] or [""]
            faults, detail = [f"{type(error).__name__}: {lines[0][:300]}"], ""
        ok = not faults
        text = detail if ok else "; ".join(faults[:3])
        self.checks.append({"name": name, "ok": ok, "detail": text})
        print(f"{'ok' if ok else 'FAILED'}: {name}", file=sys.stderr, flush=True)
        return ok

    def _load(self):
        about = (self._path / "assets/about.json").read_text("utf-8")
        self._model_info = json.loads(about)
        started = time.perf_counter()
        self._graph = LoadedGraph(self._path)
        self.metrics["load_seconds"] = _seconds_since(started)
        return [], f"{self.metrics['load_seconds']:.2f} s, without Keras"

    def _signatures(self):
        missing = sorted(SIGNATURES - set(self._graph.signatures))
        return [f"{name} is missing" for name in missing], f"{len(SIGNATURES)}"

    def _times(self):
        seconds = []
        for seed in range(1 + _LATER_REQUESTS):
            started = time.perf_counter()
            self._graph("serving_default", self._rows("serving_default", 1, seed))
            seconds.append(_seconds_since(started))
        first, later = seconds[0], float(np.median(seconds[1:]))
        self.metrics["first_request_seconds"] = first
        self.metrics["later_request_seconds"] = later
        return [], f"first {first:.2f} s, then {later:.3f} s for each cell"

    def _warm_up(self):
        path = str(self._path / WARM_UP)
        records = sum(1 for _ in tf.data.TFRecordDataset(path))
        # The warm-up has these requests in the protocol of the server.
        for name in SIGNATURES:
            self._graph(name, self._rows(name, 1))
        detail = f"{records} requests"
        return [] if records == len(SIGNATURES) else [detail], detail

    def _batches(self):
        """Compares each row of a batch with the same row alone."""
        maps, differing, faults = 0, 0, []
        for name in sorted(SIGNATURES):
            inputs = self._rows(name, _ROWS)
            together, again = (self._graph(name, inputs) for _ in range(2))
            if any(not np.array_equal(together[x], again[x]) for x in together):
                faults.append(f"{name} gives two answers to one request")
            parts = []
            for row in range(_ROWS):
                single = {key: x[row : row + 1] for key, x in inputs.items()}
                parts.append(self._graph(name, single))
            alone = {key: np.concatenate([x[key] for x in parts]) for key in together}
            if "png_bytes" in together:
                together, alone = map(_decode_pngs, (together, alone))
            differing += count_differing_rows(together, alone)
            maps += _ROWS
        if differing > max(1, maps // _MAPS_PER_DIFFERENCE):
            faults.append(f"{differing} of {maps} rows depend on their batch")
        return faults, f"{maps - differing} of {maps} rows"

    def _refusals(self):
        faults, requests = [], 0
        for name in sorted(SIGNATURES):
            inputs = sorted(self._graph.signatures[name].inputs)
            for mistake, word, wrong in wrong_rows(self._model_info, inputs):
                requests += 1
                if (answer := answer_to(self._graph, name, wrong, word)) is not None:
                    faults.append(f"{name} with {mistake}: {answer}"[:200])
        return faults, f"{requests} requests"

    def _operations(self):
        graph = self._graph.meta_graph.graph_def
        return operation_faults(graph), "no custom operation, no XLA"

    def _batching(self):
        detail = "every input and output has a leading batch dimension"
        return batching_faults(self._graph.signatures), detail

    def _size(self):
        index = tf.train.load_checkpoint(str(self._path / "variables/variables"))
        types = index.get_variable_to_dtype_map()
        weights = sum(
            int(np.prod(shape)) * types[name].size
            for name, shape in index.get_variable_to_shape_map().items()
            if not name.startswith("_CHECKPOINTABLE")
        )
        size = sum(x.stat().st_size for x in self._path.rglob("*") if x.is_file())
        self.metrics["bytes"], self.metrics["weight_bytes"] = size, weights
        detail = f"{size / 1e6:.1f} MB, with {weights / 1e6:.1f} MB of weights"
        too_large = size > _SHARE_OF_WEIGHTS * weights + _OTHER_BYTES
        return [detail] if too_large else [], detail

    def _rows(self, name: str, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        inputs = self._graph.signatures[name].inputs
        return example_rows(self._model_info, inputs, rows, seed)


def operation_faults(graph: graph_pb2.GraphDef) -> list[str]:
    """Returns what the stock server cannot run on a CPU."""
    functions = {function.signature.name for function in graph.library.function}
    nodes = list(graph.node)
    for function in graph.library.function:
        nodes += function.node_def
    names = sorted({node.op for node in nodes} - functions)
    faults = [f"{x} is not in the server" for x in names if not _is_stock(x)]
    parts = [(node.name, node.attr) for node in nodes]
    parts += [(x.signature.name, x.attr) for x in graph.library.function]
    for name, attributes in parts:
        if any(attributes[key].b for key in _COMPILED if key in attributes):
            faults.append(f"{name} is compiled by XLA")
    return faults


def batching_faults(signatures: Mapping[str, meta_graph_pb2.SignatureDef]) -> list[str]:
    """Returns the inputs and outputs without a leading batch dimension."""
    faults = []
    for name, signature in signatures.items():
        for key, tensor in [*signature.inputs.items(), *signature.outputs.items()]:
            sizes = [dim.size for dim in tensor.tensor_shape.dim]
            if tensor.tensor_shape.unknown_rank or sizes[:1] != [-1]:
                faults.append(f"{name}.{key} {sizes}")
    return faults


def count_differing_rows(
    together: Mapping[str, np.ndarray], alone: Mapping[str, np.ndarray]
) -> int:
    """Returns the number of rows that differ between two answers.

    Other batch sizes add up sums in another order: pixels may differ by 1, and bits in
    their last digits. Codes must be equal.
    """
    rows = len(next(iter(together.values())))
    differ = np.zeros(rows, bool)
    for name, value in together.items():
        other = alone[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            return rows
        if np.issubdtype(value.dtype, np.floating):
            # NaN fails the comparison.
            unequal = ~(np.abs(value - other) <= _BIT_TOLERANCE)
        elif value.dtype in (np.uint8, np.uint16):
            unequal = np.abs(value.astype(int) - other.astype(int)) > 1
        else:
            unequal = value != other
        differ |= unequal.reshape(rows, -1).any(axis=1)
    return int(differ.sum())


def answer_to(
    ask: Callable, name: str, wrong: Mapping[str, Any], word: str
) -> str | None:
    """Returns the answer to a wrong request, or None if it is refused as it must be.

    `ask` runs a signature; `word` must be in the message of the refusal.
    """
    try:
        ask(name, wrong)
    except tf.errors.InvalidArgumentError as error:
        _, found, rest = error.message.partition("assertion failed: [")
        sentence = rest.split("]\n")[0] if found else ""
        refused = word in sentence and ": expected " in sentence
        return None if refused else sentence or error.message
    return "it was answered"


def _is_stock(name: str) -> bool:
    # The names of operations of other packages contain the package and a ">".
    if name.startswith(_NOT_IN_SERVER) or ">" in name or not op_def_registry.get(name):
        return False
    found = kernels.get_registered_kernels_for_op(name).kernel
    return any(kernel.device_type in ("CPU", "DEFAULT") for kernel in found)


def _decode_pngs(answer: Mapping[str, Any]) -> dict[str, np.ndarray]:
    images = [tf.io.decode_png(x, channels=0).numpy() for x in answer["png_bytes"]]
    return {"image": np.stack(images)}


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 4)


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)
    # ru_maxrss includes the process that started this one.
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return round(int(found[1]) / 1e3, 1)
