"""How much worse a map is on which most crops were placed, not fitted.

Features of folders of crops (or of no meaning: a mixture of normal distributions) are
put on a map twice: fitted on all crops, and fitted on some of every cluster with the
others placed among them, as `python -m data_prep embed` does with many crops. Both are
judged by the crops that were not fitted, against the components that they were made of:

trustworthiness   1 where neighbours on the map are neighbours in the components
                  (Venna and Kaski 2001; scikit-learn), of a sample
neighbours_kept   share of the nearest 15 in the components that are among the nearest
                  150 on the map
same_cluster      share of the nearest 15 on the map that are of the crop's cluster

One JSON line.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

# Of the 157,000 crops that the map is made for, 20,000 are fitted.
SHARE = 20_000 / 157_000
NEIGHBOURS = 15
NEAR = 150
SAMPLE = 3000


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--folders", type=Path, nargs="+", help="of crops with features")
    flags.add_argument("--crops", type=int, default=10_000, help="how many, at most")
    args = flags.parse_args()
    command_line.import_tensorflow()
    from data_prep.embedding import projection

    projection.require_libraries()
    components = projection.principal_components(features(args))
    num = len(components)
    clusters = projection.cluster(components, projection.usual_clusters(num), args.seed)
    fitted = round(SHARE * num)
    chosen = projection.stratified(clusters, fitted, args.seed)
    placed = np.setdiff1d(np.arange(num), chosen)
    found: dict[str, Any] = {"crops": num, "fitted": fitted, "seed": args.seed}
    for name, most in (("fitted_on_all", num), ("placed", fitted)):
        projection.MOST_FITTED = most
        started = time.process_time()
        places = projection.map_positions(components, clusters, args.seed)
        seconds = round(time.process_time() - started, 1)
        found[name] = {
            **measures(components, places, clusters, placed, args.seed),
            "processor_seconds": seconds,
        }
    case.write({"case": "map_quality", **found}, args.output)


def features(args) -> np.ndarray:
    """Returns features [N, F] of the folders, or of no meaning."""
    rng = np.random.default_rng(args.seed)
    if not args.folders:
        kinds = rng.integers(80, size=args.crops)
        centres = 0.5 * rng.normal(size=(80, 96)).astype(np.float32)
        return centres[kinds] + rng.standard_normal((args.crops, 96), np.float32)
    from data_prep.embedding.crop_features import read_features

    values = np.concatenate([read_features(path).values for path in args.folders])
    return values[rng.permutation(len(values))[: args.crops]]


def measures(
    components: np.ndarray,
    places: np.ndarray,
    clusters: np.ndarray,
    judged: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Returns the three measures of a map [N, 2] for the crops `judged`."""
    from sklearn.manifold import trustworthiness
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(seed)
    sample = rng.permutation(judged)[:SAMPLE]
    near = {
        name: NearestNeighbors(n_neighbors=count + 1)
        .fit(values)
        .kneighbors(values[sample], return_distance=False)[:, 1:]
        for name, values, count in (
            ("components", components, NEIGHBOURS),
            ("map", places, NEAR),
        )
    }
    kept = [np.isin(a, b).mean() for a, b in zip(*near.values(), strict=True)]
    same = clusters[near["map"][:, :NEIGHBOURS]] == clusters[sample, None]
    trust = trustworthiness(components[sample], places[sample], n_neighbors=NEIGHBOURS)
    return {
        "trustworthiness": round(float(trust), 3),
        "neighbours_kept": round(float(np.mean(kept)), 3),
        "same_cluster": round(float(same.mean()), 3),
    }


if __name__ == "__main__":
    with command_line.guard():
        main()
