"""All checks of an export, one after another."""

import json
import re
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import behaviour
import examples
import graph_rules
import numpy as np
import tensorflow as tf
import wire
from loaded import Loaded

SIGNATURES = {
    "serving_default",
    "generate",
    "generate_png",
    "generate_multilabel",
    "generate_multilabel_raw",
    "encode",
    "decode",
    "reconstruct",
    "score",
    "complete",
    "class_names",
    "about",
}
WARM_UP = "assets.extra/tf_serving_warmup_requests"
MOST_WARM_UPS = 1000
SEVERAL = 5
LATER_REQUESTS = 5
# Codes of a row may, by rounding, differ between batches: one map in so many.
ONE_MAP_IN = 1000
_FIRST = ("loads", "has every signature")
_SOME = {
    "--warm_up": ("loads", "replays its warm-up"),
    "--times": ("loads", "first and later requests", "holds no more than it needs"),
}
# Graphs, assets and warm-up requests.
SPARE_BYTES = 2_000_000
SHARE_OF_WEIGHTS = 1.05


class Verification:
    """The checks of one export, and what they found.

    Args:
        path: The version's folder.
    """

    def __init__(self, path: str):
        self.checks: list[dict] = []
        self.figures: dict[str, float] = {}
        self._path = Path(path)
        self._about: dict = {}
        self._loaded: Loaded | None = None

    def run(self, flags: Sequence[str] = ()) -> None:
        """Does all checks, or those that flags ask for."""
        checks = {
            "loads": self._load,
            "has every signature": self._signatures,
            "first and later requests": self._time,
            "replays its warm-up": self._warm_up,
            "batches of 1 and 5 agree": self._batches,
            "signatures fit together": self._contradictions,
            "refuses wrong rows in words": self._refusals,
            "operations of the stock server": self._operations,
            "can be batched": self._batching,
            "can be asked over REST": self._rest,
            "holds no more than it needs": self._size,
        }
        chosen = [_SOME[flag] for flag in flags if flag in _SOME] or [tuple(checks)]
        for name in chosen[0]:
            # Without these nothing else can be said.
            if not self._check(name, checks[name]) and name in _FIRST:
                return
        self.figures["peak_memory_megabytes"] = _peak_megabytes()

    def _check(self, name, function) -> bool:
        try:
            faults, detail = function()
        except Exception as error:
            faults, detail = [f"{type(error).__name__}: {_first_line(error)}"], ""
        ok = not faults
        text = detail if ok else "; ".join(faults[:3])
        self.checks.append({"name": name, "ok": ok, "detail": text})
        print(f"{'ok' if ok else 'FAILED'}: {name}", file=sys.stderr, flush=True)
        return ok

    def _load(self):
        self.figures["memory_before_loading_megabytes"] = _peak_megabytes()
        self._about = json.loads((self._path / "assets/about.json").read_text("utf-8"))
        started = time.perf_counter()
        self._loaded = Loaded(self._path)
        self.figures["load_seconds"] = _seconds(started)
        return [], f"{self.figures['load_seconds']:.2f} s, without Keras"

    def _signatures(self):
        missing = SIGNATURES - set(self._loaded.signatures)
        return [f"{x} is missing" for x in sorted(missing)], f"{len(SIGNATURES)}"

    def _time(self):
        seconds = []
        for turn in range(1 + LATER_REQUESTS):
            started = time.perf_counter()
            self._ask("serving_default", self._rows("serving_default", 1, turn))
            seconds.append(_seconds(started))
        first, later = seconds[0], float(np.median(seconds[1:]))
        self.figures["first_request_seconds"] = first
        self.figures["later_request_seconds"] = later
        return [], f"{first:.2f} s, then {later:.3f} s a cell"

    def _warm_up(self):
        path = self._path / WARM_UP
        records = [x.numpy() for x in tf.data.TFRecordDataset(str(path))]
        for record in records:
            self._ask(*wire.decode_request(record))
        right = 1 <= len(records) <= MOST_WARM_UPS
        faults = [] if right else [f"{len(records)} requests, not 1 to {MOST_WARM_UPS}"]
        return faults, f"{len(records)} requests"

    def _batches(self):
        maps, differ, faults = 0, 0, []
        for name in sorted(SIGNATURES):
            inputs = self._rows(name, SEVERAL)
            together = self._ask(name, inputs)
            again = self._ask(name, inputs)
            if any(not np.array_equal(together[x], again[x]) for x in together):
                faults.append(f"{name} asked twice gives two answers")
            alone = [
                self._ask(name, {key: x[row : row + 1] for key, x in inputs.items()})
                for row in range(SEVERAL)
            ]
            alone = {key: np.concatenate([x[key] for x in alone]) for key in together}
            if "png_bytes" in together:
                together, alone = (
                    {"image": behaviour.pictures(x["png_bytes"])}
                    for x in (together, alone)
                )
            differ += behaviour.differing_rows(together, alone)
            maps += SEVERAL
        if differ > max(1, maps // ONE_MAP_IN):
            faults.append(f"{differ} of {maps} rows depend on their batch")
        return faults, f"{maps - differ} of {maps} rows"

    def _contradictions(self):
        def rows(*names):
            return examples.example_rows(self._about, names, SEVERAL)

        faults = behaviour.contradictions(self._ask, self._about, rows)
        return faults, "codes, images, names, description"

    def _refusals(self):
        faults, tried = [], 0
        for name in sorted(SIGNATURES):
            keys = sorted(self._loaded.signatures[name].inputs)
            wrong = examples.wrong_rows(self._about, keys)
            tried += len(wrong)
            faults += behaviour.accepted(self._ask, name, wrong)
        return faults, f"{tried} requests"

    def _operations(self):
        meta_graph = self._loaded.meta_graph
        faults = [f"{x} is unknown" for x in graph_rules.unknown_operations(meta_graph)]
        faults += [f"{x} is compiled" for x in graph_rules.compiled_parts(meta_graph)]
        return faults, f"{len(graph_rules.operations(meta_graph))}, none custom or XLA"

    def _batching(self):
        faults = graph_rules.batching_faults(self._loaded.signatures)
        return faults, "rows come first everywhere"

    def _rest(self):
        faults = graph_rules.rest_faults(self._loaded.signatures)
        for name in sorted(SIGNATURES):
            for key, value in self._ask(name, self._rows(name, 1)).items():
                is_string = value.dtype == object
                text = is_string and all(map(_is_text, value.reshape(-1)))
                # What is text may be bytes as well; the name says which it is.
                named = key.endswith("_bytes")
                if (named and not is_string) or (is_string and not text and not named):
                    faults.append(f"{name}.{key} has a wrong name")
        return faults, "inputs everywhere; bytes are called so"

    def _size(self):
        index = tf.train.load_checkpoint(str(self._path / "variables/variables"))
        shapes = index.get_variable_to_shape_map()
        types = index.get_variable_to_dtype_map()
        weights = sum(
            int(np.prod(shape)) * types[name].size
            for name, shape in shapes.items()
            if not name.startswith("_CHECKPOINTABLE")
        )
        size = sum(x.stat().st_size for x in self._path.rglob("*") if x.is_file())
        self.figures["bytes"], self.figures["weight_bytes"] = size, weights
        most = SHARE_OF_WEIGHTS * weights + SPARE_BYTES
        faults = [f"{size} bytes for {weights} of weights"] if size > most else []
        return faults, f"{size / 1e6:.1f} MB, of them weights {weights / 1e6:.1f}"

    def _rows(self, name, rows, seed=0):
        keys = self._loaded.signatures[name].inputs
        return examples.example_rows(self._about, keys, rows, seed)

    def _ask(self, name, inputs):
        return self._loaded(name, inputs)


def _seconds(started: float) -> float:
    return round(time.perf_counter() - started, 4)


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1)
    # What getrusage says is at least what the process that started this one had.
    found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
    return round(int(found[1]) / 1e3, 1)


def _first_line(error: Exception) -> str:
    lines = [x for x in str(error).splitlines() if x and "Graph execution" not in x]
    return lines[0][:300] if lines else ""


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
