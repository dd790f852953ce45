"""Throughput, latency and memory of a running server under steady load.

`--clients` threads request one cell after another from a TensorFlow Serving (or any
server with its interface) for `--seconds`. Every `--wrong`-th request is invalid and
must be refused by the client before it is sent; no other may fail. One JSON line:
requests a second, percentiles of the latency, errors by message, and, with `--pid`, the
memory of the server's process over time, in which the first tenth is warm-up.

    python -m benchmarks.soak --server localhost:8500 --clients 8 --seconds 600
"""

import argparse
import collections
import concurrent.futures
import time
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

SECONDS_A_SAMPLE = 5.0


def main() -> None:
    flags = case.parser(__doc__)
    add = flags.add_argument
    add("--server", required=True, help="host:port of the server.")
    add("--protocol", choices=("grpc", "rest"), default="grpc")
    add("--model", default="tfvqgen", help="Name of the model.")
    add("--clients", type=int, default=8, help="Number of threads.")
    add("--seconds", type=float, default=600, help="Duration.")
    text = "Interval of invalid requests; 0: none."
    add("--wrong", type=int, default=10, help=text)
    add("--pid", type=int, help="Process id of the server.")
    args = flags.parse_args()
    case.import_tensorflow(args.threads)
    case.write(soak(args), args)


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """Sends requests until the time is over."""
    from tfvqgen.client import Server

    end = time.monotonic() + args.seconds
    with (
        Server(args.server, args.protocol, args.model) as server,
        concurrent.futures.ThreadPoolExecutor(args.clients) as pool,
    ):
        clients = [
            pool.submit(client, server, number, end, args.wrong)
            for number in range(args.clients)
        ]
        memory = []
        while time.monotonic() < end and args.pid:
            memory.append(round(case.megabytes(args.pid), 1))
            time.sleep(SECONDS_A_SAMPLE)
        found = [each.result() for each in clients]
    latencies = np.concatenate([took for took, _, _ in found])
    refused = sum(number for _, number, _ in found)
    errors = sum((counts for _, _, counts in found), collections.Counter())
    p50, p95, p99 = (1e3 * np.percentile(latencies, (50, 95, 99))).round(1).tolist()
    warm = memory[len(memory) // 10 :]
    return {
        "case": "soak",
        "answered": len(latencies),
        "refused_as_expected": refused,
        "errors": dict(errors),
        "requests_per_second": round(len(latencies) / args.seconds, 2),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "memory_megabytes": warm[:: max(1, len(warm) // 20)],
        "memory_growth": round(warm[-1] / warm[0], 3) if warm else None,
    }


def client(server, number: int, end: float, wrong: int) -> tuple:
    """Requests cells one after another; returns latencies, refusals and errors."""
    from tfvqgen.errors import UserError

    labels = np.zeros((1, len(server.model_info.labels)), np.float32)
    took, refused, errors = [], 0, collections.Counter()
    count = 0
    while time.monotonic() < end:
        count += 1
        invalid = wrong and count % wrong == 0
        temperature = np.full(1, -1 if invalid else 1, np.float32)
        one, seed = np.ones(1, np.float32), np.array([number * 1_000_000 + count])
        started = time.perf_counter()
        try:
            server.generate(labels, seed, temperature, one, 0 * one)
        except UserError as error:
            refused += bool(invalid)
            errors.update([] if invalid else [str(error)[:200]])
            continue
        took.append(time.perf_counter() - started)
        errors.update(["an invalid request was answered"] if invalid else [])
    return np.array(took), refused, errors


if __name__ == "__main__":
    with command_line.guard():
        main()
