"""Features, clusters, maps and decisions about crops."""

import hashlib
import io
import json
import pickle
import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.folders import FuzzedFolder
from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.mutation import mutated_bytes

_REVIEW = ("review/clusters.csv", "review/suggestions.csv")


class Unpickled:
    """Leaves a trace where somebody unpickles it."""

    seen = False

    def __reduce__(self):
        return _unpickle, ()


def _unpickle() -> None:
    Unpickled.seen = True


def _features(folder: Path) -> Inputs:
    """``features.json`` and ``features.npy``."""
    from data_prep.embedding.crop_features import read_features, require_current
    from tests.data_prep.screened_crops import make_screened
    from tfvqgen.data.crops import read_crops

    crops = make_screened(folder / "crops", 12)
    table = read_crops(crops)

    def read(folder: Path) -> None:
        try:
            require_current(read_features(folder), table)
        finally:
            if Unpickled.seen:
                raise AssertionError("something was unpickled")

    names = ("features.npy", "features.json")
    mutations = {".npy": mutated_array}
    return FuzzedFolder(crops, read, names, mutations, _describe_features)


def mutated_array(data: bytes, rng: random.Random) -> bytes:
    """Changes an array's header or bytes, or makes it one of pickled objects."""
    import numpy as np

    match rng.randrange(6):
        case 0:
            file = io.BytesIO()
            objects = np.empty(2, object)
            objects[:] = [Unpickled(), Unpickled()]
            np.save(file, objects, allow_pickle=True)
            return file.getvalue()
        case 1:
            return pickle.dumps(Unpickled(), rng.choice((0, 2, 4)))
        case 2:
            header = mutated_bytes(data[:128], rng)
            return header + data[128:]
        case 3:
            file = io.BytesIO()
            np.savez(file, a=np.zeros(3, np.float32))
            return mutated_bytes(file.getvalue(), rng)
        case 4:
            odd = (b"(9999999999, 9)", b"(-1, 2)", b"(12,)", b"()", b"(" * 50)
            return (
                data[:10]
                + data[10:128].replace(b"(12, 12)", rng.choice(odd))
                + (data[128:])
            )
    return mutated_bytes(data, rng)


def _describe_features(folder: Path, rng: random.Random) -> None:
    """Lets ``features.json`` hold the hash of the numbers as they are."""
    array, about = folder / "features.npy", folder / "features.json"
    if rng.random() < 0.9 and array.is_file() and about.is_file():
        _replace_hash(about, array)


def _replace_hash(about: Path, file: Path) -> None:
    try:
        value = json.loads(about.read_bytes())
        value["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        about.write_text(json.dumps(value))
    except (ValueError, TypeError, RecursionError):
        return


def _screened(folder: Path):
    from data_prep.embedding import umap_table
    from data_prep.embedding.crop_features import read_features
    from data_prep.screening import screening
    from tests.data_prep.screened_crops import make_screened

    crops = make_screened(folder / "crops", 12)
    # Any map will do, and UMAP takes long.
    features = read_features(crops)
    clusters = [number % 3 for number in range(12)]
    config = {"clusters": 3, "seed": 0}
    places = features.values[:, :2]
    umap_table._write(crops, features, places, clusters, config)
    opened = screening.open_screening(crops)
    screening.make_review(opened)
    return crops, opened


def _map(folder: Path) -> Inputs:
    """``umap.csv`` and ``umap.json``."""
    from data_prep.screening import screening

    crops, _ = _screened(folder)

    def read(folder: Path) -> None:
        opened = screening.open_decided(folder)
        _ = opened.screened
        screening.apply_decisions(opened, [])

    def mend(folder: Path, rng: random.Random) -> None:
        table, about = folder / "umap.csv", folder / "umap.json"
        if rng.random() < 0.9 and table.is_file() and about.is_file():
            _replace_hash(about, table)

    return FuzzedFolder(crops, read, ("umap.csv", "umap.json"), mend=mend)


def _decisions(folder: Path) -> Inputs:
    """``clusters.csv`` and ``suggestions.csv`` that people edit, to be applied."""
    from data_prep.screening import screening

    crops, opened = _screened(folder)

    def read(folder: Path) -> None:
        for name in _REVIEW:
            screening.apply_decisions(opened, [folder / name])

    return FuzzedFolder(crops, read, _REVIEW)


def _decided(folder: Path) -> Inputs:
    """``decisions.csv`` of which shards are made."""
    from data_prep.screening import screening
    from data_prep.screening.decisions import apply_to_crops
    from tfvqgen.data.crops import read_crops

    crops, opened = _screened(folder)
    screening.apply_decisions(opened, [crops / name for name in _REVIEW])
    table = read_crops(crops)

    def read(folder: Path) -> None:
        apply_to_crops(table, folder / "review" / "decisions.csv")

    return FuzzedFolder(crops, read, ("review/decisions.csv",))


def _by_hand(folder: Path) -> Inputs:
    """``clusters.csv`` when the page is made anew."""
    from data_prep.screening import cluster_table

    crops, opened = _screened(folder)
    path = crops / "review" / "clusters.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(x.replace(",", ",keep", 1) for x in lines)]))
    path.write_text(path.read_text().replace("cluster,keep", "cluster,", 1))

    def read(folder: Path) -> None:
        path = folder / "review" / "clusters.csv"
        cluster_table.refuse_to_lose_decisions(path, opened.stamp)

    def read_again(folder: Path) -> None:
        path = folder / "review" / "clusters.csv"
        cluster_table.decided_by_hand(path, opened.stamp)

    both = (read_again, read)
    turn = [0]

    def either(folder: Path) -> None:
        turn[0] += 1
        both[turn[0] % 2](folder)

    return FuzzedFolder(crops, either, ("review/clusters.csv",))


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "features": _features,
    "umap": _map,
    "decisions": _decisions,
    "decided": _decided,
    "clusters": _by_hand,
}
