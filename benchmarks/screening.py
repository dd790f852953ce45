"""Share of planted defects that screening finds, and of good crops that it would cost.

Synthetic crops of which 5 % have a defect (blur, saturation, debris, empty, two nuclei)
get quality metrics, features, clusters and suggestions as real crops do. Then all
suggested crops and clusters are dropped. The features are those of the paired
inpainting network after --steps, or, with --steps 0, statistics of intensity and
texture. The output is one JSON line.
"""

import argparse
import collections
import itertools
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

SHARE = 0.05  # Of crops with a defect.


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--crops", type=int, default=3000, help="Number of crops.")
    text = "Training steps of the paired inpainting network."
    flags.add_argument("--steps", type=int, default=0, help=text)
    args = flags.parse_args()
    case.import_tensorflow(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        case.write(measure(Path(folder), args), args)


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Draws and screens crops, and counts."""
    from benchmarks.planted_defects import write_folder
    from data_prep.labels import DEFAULT_VOCABULARY, load_vocabulary
    from data_prep.screening import screening

    labels = load_vocabulary(DEFAULT_VOCABULARY).labels
    truth = write_folder(folder, args.crops, SHARE, args.seed, labels)
    write_features(folder, args)
    started = time.monotonic()
    opened = screening.open_screening(folder)
    screening.make_review(opened)
    path = folder / screening.REVIEW / screening.SUGGESTIONS
    made = screening.apply_decisions(opened, [path])
    seconds = time.monotonic() - started
    dropped = {
        x.crop.crop_id
        for x in made
        if x.decision == "drop" or (x.decision == "undecided" and not x.crop.accepted)
    }
    return {
        "case": "screening",
        "features": opened.features.model[:16],
        "crops": len(truth),
        "defects": sum(map(bool, truth.values())),
        **found(truth, dropped),
        **lost(opened.crops, truth, dropped),
        "screening_seconds": round(seconds, 1),
    }


def found(truth: dict[str, str], dropped: set[str]) -> dict[str, Any]:
    """Returns the share of defects that were dropped, overall and by kind."""
    kinds = collections.defaultdict(list)
    for crop_id, kind in truth.items():
        kinds[kind].append(crop_id in dropped)
    del kinds[""]  # Good crops.
    return {
        "defects_removed": share(itertools.chain(*kinds.values())),
        "removed_by_kind": {kind: share(hits) for kind, hits in kinds.items()},
    }


def share(hits: Iterable[bool]) -> float:
    """Returns the share of true values to four digits after the point."""
    return round(float(np.mean(list(hits))), 4)


def lost(crops, truth: dict[str, str], dropped: set[str]) -> dict[str, Any]:
    """Returns the share of good crops that were dropped, and the worst label."""
    labels = collections.defaultdict(list)
    good = [crop for crop in crops if not truth[crop.crop_id]]
    for crop in good:
        for label in crop.labels:
            labels[label].append(crop.crop_id in dropped)
    worst = max(labels, key=lambda name: np.mean(labels[name]))
    return {
        "good_lost": share(crop.crop_id in dropped for crop in good),
        "worst_label": worst,
        "worst_label_lost": share(labels[worst]),
        "worst_label_crops": len(labels[worst]),
    }


def write_features(folder: Path, args: argparse.Namespace) -> None:
    if args.steps:
        from data_prep.embedding.feature_learning import embed

        embed(folder, overrides=[f"steps={args.steps}"], seed=args.seed)
        return
    from data_prep.embedding import crop_features
    from tfvqgen.data.crops import read_crops
    from tfvqgen.data.images import read_image

    opened = read_crops(folder)
    images = (read_image(opened.image_path(crop)) for crop in opened.rows)
    crop_features.write_features(
        folder,
        np.stack([statistics(image) for image in images]),
        crop_ids=[crop.crop_id for crop in opened.rows],
        crops=[crop.sha256 for crop in opened.rows],
        model="intensity",
        config={},
    )


def statistics(image: np.ndarray) -> np.ndarray:
    """Returns quantiles and band energies of each channel, float32 [F]."""
    from scipy import ndimage

    found = []
    for plane in np.moveaxis(image.astype(np.float32) / 255, -1, 0):
        blurred = [ndimage.gaussian_filter(plane, side) for side in (1, 2, 4, 8)]
        bands = [np.std(a - b) for a, b in itertools.pairwise([plane, *blurred])]
        quantiles = np.quantile(plane, (0.05, 0.25, 0.5, 0.75, 0.95, 0.99))
        bands = np.log(np.array(bands) + 1e-4)
        found += [plane.mean(), plane.std(), *quantiles, *bands]
    return np.array(found, np.float32)


if __name__ == "__main__":
    with command_line.guard():
        main()
