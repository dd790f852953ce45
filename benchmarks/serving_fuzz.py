"""Does a server of an export outlive what clients may send, and in how much memory?

One server process gets many requests in a row, most of them wrong in one way, over all
signatures: shapes, types, values, no rows and far too many, inputs and signatures that
are missing or unknown, tensors that contradict themselves. Each must be answered or
refused in words, the process must be the same at the end, its memory be where it was
after as many requests of warming up, and a right request give the same picture.

Before that, the same process draws `--rows` cells with guidance in one request, for its
peak memory. The server is the one of the tests: the session that TensorFlow Serving
makes of the graph, under gRPC, but in Python, whose own memory is in the figures. One
JSON line; `faults` must be empty.
"""

import argparse
import collections
import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
REFUSALS = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"}
_TIMEOUT = 1800
_GOOD_ROWS = 4


def main() -> None:
    args = _flags().parse_args()
    case.import_tensorflow(args.threads)
    with contextlib.ExitStack() as stack:
        model = args.model
        if model is None:
            model = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            export_random(args.preset, args.seed, model)
        case.write(fuzz(model, args), args.output)


def fuzz(model: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Starts a server and sends it everything.

    Args:
        model: A folder of versions.
        args: The flags.
    """
    from benchmarks.faults.fuzzed_requests import fuzzed_requests

    about = read_about(model)
    with serving(model) as server:
        figures = {"loaded_mb": server.megabytes()}
        if args.rows:
            figures |= server.peak(right_request(about, "generate", args.rows, True))
        good = right_request(about, "generate", _GOOD_ROWS)
        picture = server.ask(good)
        rounds = [
            server.send(fuzzed_requests(about, args.requests, args.seed + turn))
            for turn in range(args.rounds + 1)
        ]
        same = picture.outputs == server.ask(good).outputs
        alive = server.is_the_same()
    last = rounds[-1]
    return {
        "case": "serving_fuzz",
        "preset": about["preset"],
        **figures,
        "requests": args.requests,
        "rounds": args.rounds,
        "answered": last["answered"],
        "refused": last["refused"],
        "faults": [fault for sent in rounds for fault in sent["faults"]],
        "same_process": alive,
        "same_picture": same,
        "first_mb": rounds[1]["megabytes"][0],
        "last_mb": last["megabytes"][-1],
        "most_mb": max(itertools.chain(*(x["megabytes"] for x in rounds[1:]))),
        "end_of_rounds_mb": [x["megabytes"][-1] for x in rounds],
        "megabytes": last["megabytes"],
        "seconds": round(sum(x["seconds"] for x in rounds[1:]), 1),
        "seed": args.seed,
        "threads": args.threads,
    }


class Server:
    """A server in a process of its own.

    Args:
        process: The process; it has printed its port.
        port: That.
    """

    def __init__(self, process: subprocess.Popen, port: int):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        unlimited = [
            (f"grpc.max_{what}_message_length", -1) for what in ("receive", "send")
        ]
        self._process = process
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", unlimited)
        self._service = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._born = self._birth()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def ask(self, request):
        """Sends a request; returns the answer or raises ``grpc.RpcError``."""
        return self._service.Predict(request, timeout=_TIMEOUT)

    def begin(self, request):
        """Sends a request and returns a ``grpc.Future`` of the answer."""
        return self._service.Predict.future(request, timeout=_TIMEOUT)

    def send(self, requests) -> dict[str, Any]:
        """Sends many, one after another; returns what became of them."""
        import grpc

        answered, refused = 0, collections.Counter()
        faults, megabytes = [], []
        started = time.perf_counter()
        for number, fuzzed in enumerate(requests):
            code, words = "OK", ""
            try:
                self.ask(fuzzed.request)
            except grpc.RpcError as error:
                code, words = error.code().name, error.details() or ""
            megabytes.append(self.megabytes())
            if code == "OK":
                answered += 1
            else:
                refused[code] += 1
            right = code in REFUSALS and words if fuzzed.wrong else code == "OK"
            if not right:
                name = fuzzed.request.model_spec.signature_name[:40]
                words = " ".join(words.split())[:200]
                faults.append(f"{number} {fuzzed.kind} {name}: {code} {words}")
        return {
            "answered": answered,
            "refused": dict(refused),
            "faults": faults,
            "megabytes": megabytes,
            "seconds": time.perf_counter() - started,
        }

    def peak(self, request) -> dict[str, float]:
        """Returns the most memory while a request is answered, and its seconds."""
        # Forgets the peak of loading.
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        started = time.perf_counter()
        self.ask(request)
        return {
            "request_rows": request.inputs["seed"].tensor_shape.dim[0].size,
            "request_peak_mb": self._status("VmHWM"),
            "request_seconds": round(time.perf_counter() - started, 2),
        }

    def megabytes(self) -> float:
        """Returns the memory that the process has now."""
        return self._status("VmRSS")

    def is_the_same(self) -> bool:
        """Returns whether the process is still the one that was started."""
        return self._process.poll() is None and self._birth() == self._born

    def _status(self, name: str) -> float:
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return round(int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1e3, 1)

    def _birth(self) -> str:
        # The 22nd field; the second is a name that may have spaces, in parentheses.
        text = Path(f"/proc/{self._process.pid}/stat").read_text()
        return text.rpartition(")")[2].split()[19]


@contextlib.contextmanager
def serving(model: Path) -> Iterator[Server]:
    """Runs a server of a folder of versions."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.client.graph_model", str(model)],
        cwd=ROOT,
        env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        port = process.stdout.readline()
        if not port.strip().isdigit():
            raise UserError(
                "the server did not start: expected it to load the model. "
                f"Received: model={model}"
            )
        with contextlib.closing(Server(process, int(port))) as server:
            yield server
        process.stdin.close()


def right_request(
    about, signature: str, rows: int, guided: bool = False, seed: int = 0
):
    """Returns a request that is answered."""
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    from tfvqgen.export.verification.examples import example_rows
    from tfvqgen.generation.saved_model import INPUTS

    inputs = example_rows(about, INPUTS[signature], rows, seed)
    if guided:
        inputs["guidance"] = np.ones(rows, np.float32)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "tfvqgen"
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def read_about(model: Path) -> dict[str, Any]:
    """Returns what the newest version in a folder says of itself."""
    versions = [int(x.name) for x in model.iterdir() if x.name.isdigit()]
    if not versions:
        raise UserError(
            f"no export there: expected a folder of versions. Received: model={model}"
        )
    path = model / str(max(versions)) / "assets" / "about.json"
    return json.loads(path.read_text(encoding="utf-8"))


def export_random(preset: str, seed: int, folder: Path) -> None:
    """Exports a model of a preset's sizes with random weights."""
    from benchmarks.saved_model import random_generator
    from tfvqgen.export.export import export_generator

    export_generator(random_generator(preset, seed), folder)


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--model", type=Path, help="an export, of any model")
    flags.add_argument(
        "--preset", default="demo", help="export this with random weights instead"
    )
    flags.add_argument("--requests", type=int, default=200, help="a round")
    flags.add_argument(
        "--rounds", type=int, default=1, help="besides the one for warming up"
    )
    flags.add_argument("--rows", type=int, default=64, help="for the peak; 0: not")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
