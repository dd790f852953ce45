"""The checks of an export, one after another."""

# Shapes: B rows; H x W pixels, C channels.

import json
import re
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import rules
import tensorflow as tf
from examples import WARM_UP, decode_request, example_rows, wrong_rows
from loaded_graph import LoadedGraph

MAX_WARM_UPS = 1000
ROWS = 5
LATER_REQUESTS = 5
# Between batch sizes a code may differ by rounding, in one map of so many.
MAPS_PER_DIFFERENCE = 1000
# Graphs, assets and warm-up requests, besides the weights.
OTHER_BYTES = 2_500_000
SHARE_OF_WEIGHTS = 1.05
_NEEDED = ("loads", "has every signature")
_SELECTIONS = {
    "--warm_up": ("loads", "replays its warm-up"),
    "--times": ("loads", "first and later requests", "contains only what it needs"),
}


class Verification:
    """The checks of one export.

    Args:
        path: The folder of a version.

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

    def run(self, flags: Sequence[str] = ()) -> None:
        """Runs all checks, or those that a flag selects."""
        checks: dict[str, Callable] = {
            "loads": self._load,
            "has every signature": self._signatures,
            "first and later requests": self._times,
            "replays its warm-up": self._warm_up,
            "rows do not depend on their batch": self._batches,
            "signatures are consistent": self._consistency,
            "refuses wrong rows": self._refusals,
            "operations of the stock server": self._operations,
            "can be batched": self._batching,
            "can be requested over REST": self._rest,
            "contains only what it needs": self._size,
        }
        for name in _SELECTIONS[flags[0]] if flags else checks:
            # The other checks need a loaded export.
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
        text = (self._path / "assets/about.json").read_text("utf-8")
        self._model_info = json.loads(text)
        started = time.perf_counter()
        self._graph = LoadedGraph(self._path)
        self.metrics["load_seconds"] = _seconds_since(started)
        return [], f"{self.metrics['load_seconds']:.2f} s, without Keras"

    def _signatures(self):
        missing = sorted(rules.SIGNATURES - set(self._graph.signatures))
        return [f"{name} is missing" for name in missing], f"{len(rules.SIGNATURES)}"

    def _times(self):
        seconds = []
        for seed in range(1 + LATER_REQUESTS):
            started = time.perf_counter()
            self._ask("serving_default", self._rows("serving_default", 1, seed))
            seconds.append(_seconds_since(started))
        first, later = seconds[0], float(np.median(seconds[1:]))
        self.metrics["first_request_seconds"] = first
        self.metrics["later_request_seconds"] = later
        return [], f"first {first:.2f} s, then {later:.3f} s for each cell"

    def _warm_up(self):
        records = [
            x.numpy() for x in tf.data.TFRecordDataset(str(self._path / WARM_UP))
        ]
        for record in records:
            self._ask(*decode_request(record))
        detail = f"{len(records)} requests"
        return [] if 1 <= len(records) <= MAX_WARM_UPS else [detail], detail

    def _batches(self):
        """Compares each row of a batch with the same row alone."""
        maps, differing, faults = 0, 0, []
        for name in sorted(rules.SIGNATURES):
            inputs = self._rows(name, ROWS)
            together, again = (self._ask(name, inputs) for _ in range(2))
            if any(not np.array_equal(together[x], again[x]) for x in together):
                faults.append(f"{name} gives two answers to one request")
            parts = [
                self._ask(name, {key: x[row : row + 1] for key, x in inputs.items()})
                for row in range(ROWS)
            ]
            alone = {key: np.concatenate([x[key] for x in parts]) for key in together}
            if "png_bytes" in together:
                together, alone = (
                    {"image": rules.decode_pngs(x["png_bytes"])}
                    for x in (together, alone)
                )
            differing += rules.count_differing_rows(together, alone)
            maps += ROWS
        if differing > max(1, maps // MAPS_PER_DIFFERENCE):
            faults.append(f"{differing} of {maps} rows depend on their batch")
        return faults, f"{maps - differing} of {maps} rows"

    def _consistency(self):
        def rows(*names):
            return example_rows(self._model_info, names, ROWS)

        faults = rules.inconsistencies(self._ask, self._model_info, rows)
        return faults, "codes, images, names, description"

    def _refusals(self):
        faults, requests = [], 0
        for name in sorted(rules.SIGNATURES):
            inputs = sorted(self._graph.signatures[name].inputs)
            for mistake, word, wrong in wrong_rows(self._model_info, inputs):
                requests += 1
                if (
                    answer := rules.answer_to(self._ask, name, wrong, word)
                ) is not None:
                    faults.append(f"{name} with {mistake}: {answer}"[:200])
        return faults, f"{requests} requests"

    def _operations(self):
        graph = self._graph.meta_graph.graph_def
        faults = [f"{x} is not in the server" for x in rules.unknown_operations(graph)]
        faults += [f"{x} is compiled by XLA" for x in rules.compiled_parts(graph)]
        return faults, "no custom operation, no XLA"

    def _batching(self):
        faults = rules.batching_faults(self._graph.signatures)
        return faults, "every input and output has a leading batch dimension"

    def _rest(self):
        faults = []
        for name in sorted(rules.SIGNATURES):
            if not self._graph.signatures[name].inputs:
                faults.append(f"{name} has no input")
            for key, value in self._ask(name, self._rows(name, 1)).items():
                # The server encodes strings of other names as text.
                is_text = value.dtype == object and rules.is_text(value.reshape(-1))
                if key.endswith("_bytes") != (value.dtype == object and not is_text):
                    faults.append(f"{name}.{key} has a wrong name")
        return faults, "every signature has an input; names of bytes end in _bytes"

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
        return [
            detail
        ] if size > SHARE_OF_WEIGHTS * weights + OTHER_BYTES else [], detail

    def _rows(self, name: str, rows: int, seed: int = 0) -> dict[str, np.ndarray]:
        inputs = self._graph.signatures[name].inputs
        return example_rows(self._model_info, inputs, rows, seed)

    def _ask(self, name: str, inputs: Mapping[str, np.ndarray]):
        return self._graph(name, inputs)


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 4)


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)
    # ru_maxrss includes the process that started this one.
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return round(int(found[1]) / 1e3, 1)
