"""Time, memory and reproducibility of clusters, map and suggestions for many crops.

Random features (a mixture of normal distributions) go through the steps of
`python -m data_prep embed` and `screen` that follow the network, in one process per
round. Equal hashes of all rounds mean equal clusters and maps. The output is one JSON
line.
"""

import hashlib
import multiprocessing
import resource
import time
from typing import Any

from benchmarks import case
from tfvqgen import command_line


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--crops", type=int, default=157_000, help="Number of crops.")
    flags.add_argument("--features", type=int, default=384, help="Features per crop.")
    flags.add_argument("--clusters", type=int, default=300, help="Number of clusters.")
    flags.add_argument("--rounds", type=int, default=2, help="Rounds to compare.")
    args = flags.parse_args()
    context = multiprocessing.get_context("spawn")
    rounds = []
    for _ in range(args.rounds):
        with context.Pool(1) as pool:
            rounds.append(pool.apply(once, (vars(args),)))
    equal = len({found["sha256"] for found in rounds}) == 1
    case.write({"case": "embedding", **rounds[0], "all_rounds_equal": equal}, args)


def once(args: dict[str, Any]) -> dict[str, Any]:
    """Runs one round; returns its times in seconds and its peak memory."""
    import numpy as np

    from data_prep.embedding import projection
    from data_prep.screening import suggestions

    command_line.import_tensorflow()
    projection.require_libraries()
    rng = np.random.default_rng(args["seed"])
    kinds = rng.integers(80, size=args["crops"])
    centres = rng.normal(size=(80, args["features"])).astype(np.float32)
    values = rng.standard_normal((args["crops"], args["features"]), np.float32)
    values += 0.5 * centres[kinds]
    marks = [time.monotonic()]

    def seconds() -> float:
        marks.append(time.monotonic())
        return round(marks[-1] - marks[-2], 1)

    found: dict[str, Any] = {}
    components = projection.principal_components(values)
    found["components_seconds"] = seconds()
    clusters = projection.cluster(components, args["clusters"], args["seed"])
    found["cluster_seconds"] = seconds()
    places = projection.map_positions(components, clusters, args["seed"])
    found["map_seconds"] = seconds()
    suggestions.nearest(components, suggestions.NUM_NEIGHBOURS)
    found["neighbour_seconds"] = seconds()
    found["seconds"] = round(marks[-1] - marks[0], 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["gigabytes"] = round(peak / 2**20, 2)
    found["sha256"] = hashlib.sha256(places.tobytes() + clusters.tobytes()).hexdigest()
    return found


if __name__ == "__main__":
    with command_line.guard():
        main()
