"""Held-out error of paired cell inpainting, and label agreement of its features.

Trains the network of `python -m data_prep embed` on the folder `--crops` (or uses the
trained network in it) and prints

- the error on pairs of held-out groups beside four baselines: the mean image of the
  other cells of the group, the mean image of all, the network with a source cell of
  another group, and a network that was trained without the source protein
  (`--blind_steps 0` omits it);
- the share of crops whose nearest neighbour in another group shares a label, by the
  features, by those of untrained networks (the same seed, other seeds, width 1), and by
  intensity statistics. Neighbours are searched among all crops; `held_out_right` is
  restricted to crops of held-out groups.

Intervals are bootstrap intervals over groups.
"""

import argparse
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

UNTRAINED_SEEDS = (1, 2)


def main() -> None:
    args = _flags().parse_args()
    case.import_tensorflow(args.threads)
    from data_prep.embedding.crop_features import read_features
    from data_prep.embedding.feature_learning import embed
    from data_prep.embedding.network_settings import settle

    folder = embed(args.crops, overrides=_overrides(args), seed=args.seed)
    experiment = Experiment(folder, settle(folder))
    report = _reporter(args, experiment)
    report("held_out_error", experiment.errors(args.blind_steps))
    features = {
        "trained": read_features(folder.folder).values,
        "intensity": intensity_statistics(experiment.images()),
        **experiment.untrained_features(),
    }
    right = {name: experiment.agreements(found) for name, found in features.items()}
    for name in features:
        figures = experiment.agreement_figures(right[name], right["untrained"])
        report("label_agreement", {"features": name, **figures})


class Experiment:
    """Measurements on a folder of crops with a trained network.

    Args:
        folder: A :class:`~tfvqgen.data.crops.CropFolder` with a trained network.
        settings: Settings of the network, as ``settle`` returns them.
    """

    def __init__(self, folder, settings):
        from data_prep.embedding.crop_images import CropImages
        from data_prep.embedding.pairing import Pairs, group_crops

        config = settings.config
        self.folder = folder
        self.settings = settings
        self.crop_images = CropImages(folder, settings.channels, config.size)
        groups = group_crops(
            folder.rows,
            min_group=config.min_group,
            validation_share=config.validation_share,
            seed=settings.seed,
        )
        self.training = Pairs(self.crop_images, groups.training, config.augment)
        self.validation = Pairs(self.crop_images, groups.validation)
        self.groups = np.array([crop.group for crop in folder.rows])
        self.labels = [crop.labels for crop in folder.rows]
        self.held_out = np.zeros(len(folder.rows), bool)
        self.held_out[self.validation.rows] = True

    def images(self) -> np.ndarray:
        """Returns all crops in [0, 1], float32 [N, S, S, C]."""
        import tensorflow as tf

        numbers = tf.data.Dataset.range(len(self.crop_images))
        found = numbers.map(self.crop_images.reader()).as_numpy_iterator()
        return np.stack(list(found)) / np.float32(self.crop_images.dtype.max)

    def errors(self, blind_steps: int | None) -> dict[str, Any]:
        """Returns the mean squared errors on the held-out pairs."""
        from tfvqgen.training.metrics_log import read_metrics

        path = self.folder.folder / "inpainting" / "metrics.jsonl"
        lines = [line for line in read_metrics(path) if line["split"] == "validation"]
        proteins = self.images()[self.held_out][..., 0]
        by_group = group_mean_errors(proteins, self.groups[self.held_out])
        figures = {
            "held_out_pairs": self.validation.num_examples,
            "held_out_groups": len(np.unique(self.groups[self.held_out])),
            "network": lines[-1]["protein_mse"],
            "group_mean_image": float(by_group.mean()),
            "mean_image": lines[-1]["mean_image_mse"],
            "protein_of_another_group": self._swapped_error(),
        }
        if blind_steps != 0:
            figures["without_protein"] = self._blind_error(blind_steps)
        return figures

    def untrained_features(self) -> dict[str, np.ndarray]:
        """Returns the features of untrained networks."""
        import keras

        from data_prep.embedding.feature_learning import feature_batches
        from tfvqgen.models import PairedInpainting

        width, seed = self.settings.config.width, self.settings.seed
        networks = {"untrained": (width, seed), "untrained, width 1": (1.0, seed)}
        for other in UNTRAINED_SEEDS:
            networks[f"untrained, seed {seed + other}"] = (width, seed + other)
        found = {}
        for name, (width, seed) in networks.items():
            keras.utils.set_random_seed(seed)
            model = PairedInpainting(len(self.settings.markers), width)
            model.build()
            batches = feature_batches(model, self.crop_images)
            found[name] = np.concatenate(list(batches))
        return found

    def agreements(self, features: np.ndarray) -> np.ndarray:
        """Returns whether the nearest neighbour shares a label, bool [N]."""
        return agreements(neighbours_across_groups(features, self.groups), self.labels)

    def agreement_figures(
        self, right: np.ndarray, untrained: np.ndarray
    ) -> dict[str, Any]:
        """Returns the label agreement of features, relative to untrained ones."""
        share, ratio = self._ratio(right, untrained)
        held_out, held_out_ratio = self._ratio(right, untrained, self.held_out)
        return {
            "crops": len(right),
            "right": float(right.mean()),
            "right_interval": share,
            "right_mean_over_labels": mean_over_labels(right, self.labels),
            "times_untrained": _times(right, untrained),
            "times_untrained_interval": ratio,
            "error_of_untrained": _times(~right, ~untrained),
            "held_out_right": float(right[self.held_out].mean()),
            "held_out_interval": held_out,
            "held_out_times_untrained": _times(
                right[self.held_out], untrained[self.held_out]
            ),
            "held_out_times_untrained_interval": held_out_ratio,
        }

    def _ratio(self, right, untrained, chosen=None) -> tuple:
        """Returns the intervals of a share and of its ratio to the untrained one."""
        from tfvqgen.evaluation.metrics.intervals import bootstrap_interval

        chosen = np.ones(len(right), bool) if chosen is None else chosen
        names, places = np.unique(self.groups[chosen], return_inverse=True)
        sums = np.zeros((len(names), 3))
        np.add.at(sums, places, np.stack([right, untrained, right | True], 1)[chosen])

        def figures(means):
            return np.array([means[0] / means[2], means[0] / max(means[1], 1e-9)])

        found = bootstrap_interval(sums, figures, seed=0)
        # A single group gives no interval.
        ends = found.T.tolist() if np.isfinite(found).all() else (None, None)
        return ends[0], ends[1]

    def _swapped_error(self) -> float | None:
        """Returns the error with source cells of other groups, if there are any."""
        import tensorflow as tf

        from data_prep.embedding.feature_learning import load_network
        from tfvqgen.data.schema import to_unit

        model, _ = load_network(self.folder, self.settings)
        count = self.validation.num_examples
        (pairs,) = self.validation.held_out_pairs(batch_size=count)
        # Cells are sorted by group.
        others = np.roll(np.arange(count), count // 2)
        rows = pairs["target_row"].numpy()
        differ = self.groups[rows] != self.groups[pairs["source_row"].numpy()[others]]
        if not differ.any():
            return None
        errors = []
        for cells in np.array_split(np.flatnonzero(differ), max(1, count // 64)):
            source = to_unit(tf.gather(pairs["source"], others[cells]))
            target = to_unit(tf.gather(pairs["target"], cells))
            painted = model(source, target[..., 1:])
            squared = tf.math.squared_difference(painted, target[..., :1])
            errors.extend(tf.reduce_mean(squared, axis=[1, 2, 3]).numpy().tolist())
        return float(np.mean(errors))

    def _blind_error(self, steps: int | None) -> float:
        import keras

        from tfvqgen.training import distribution
        from tfvqgen.training.loop import Loop
        from tfvqgen.training.stages.inpainting import InpaintingStage
        from tfvqgen.training.workdir import Workdir

        class BlindStage(InpaintingStage):
            name = "blind"

            def predict(self, source, target, training=False):
                seen = [0.0] + [1.0] * (source.shape[-1] - 1)
                return super().predict(source * seen, target, training)

        config = self.settings.config
        if steps is not None:
            config = dataclasses.replace(config, steps=steps)
        strategy = distribution.make_strategy()
        keras.utils.set_random_seed(self.settings.seed)
        with strategy.scope():
            stage = BlindStage(config, self.training, self.validation)
        workdir = Workdir(self.folder.folder / "inpainting")
        figures = Loop(stage, strategy, workdir, seed=self.settings.seed).run()
        return figures.get("protein_mse") or _last_error(workdir.stage("blind"))


def _times(one: np.ndarray, other: np.ndarray) -> float | None:
    return float(one.mean() / other.mean()) if other.any() else None


def _last_error(folder: Path) -> float:
    from tfvqgen.training.metrics_log import read_metrics

    lines = read_metrics(folder / "metrics.jsonl")
    return [x["protein_mse"] for x in lines if x["split"] == "validation"][-1]


def _reporter(
    args: argparse.Namespace, experiment: Experiment
) -> Callable[[str, dict[str, Any]], None]:
    settings = experiment.settings
    about = {
        "crops_folder": args.crops.name,
        "steps": settings.config.steps,
        "width": settings.config.width,
        "batch_size": settings.config.batch_size,
        "seed": settings.seed,
    }

    def report(name: str, figures: dict[str, Any]) -> None:
        case.write({"case": name, **about, **figures}, args.output)

    return report


def _overrides(args: argparse.Namespace) -> list[str]:
    short = {"steps": args.steps, "width": args.width}
    named = [f"{name}={value}" for name, value in short.items() if value is not None]
    return [*named, *args.set]


def _flags() -> argparse.ArgumentParser:
    parser = case.parser(__doc__)
    parser.add_argument("--crops", type=Path, required=True, help="Folder of crops.")
    parser.add_argument("--steps", type=int, help="Training steps.")
    parser.add_argument("--width", type=float, help="Width of the network.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument(
        "--blind_steps",
        type=int,
        help="Training steps of the network without the source protein.",
    )
    return parser


QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CHUNK = 512


def neighbours_across_groups(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the nearest crop of another group for each crop.

    Features are standardized, distances are Euclidean.

    Args:
        features: [N, F].
        groups: Group names, [N].

    Returns:
        Indices, int [N].
    """
    spread = features.std(axis=0)
    kept = spread > 0
    values = (features[:, kept] - features[:, kept].mean(axis=0)) / spread[kept]
    values = values.astype(np.float32)
    squares = np.sum(values**2, axis=1)
    nearest = np.empty(len(values), int)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        # Without the square of the row itself, which does not change the order.
        distances = squares - 2 * values[rows] @ values.T
        distances[groups[rows, None] == groups] = np.inf
        nearest[rows] = distances.argmin(axis=1)
    return nearest


def agreements(nearest: np.ndarray, labels: Sequence[Sequence[str]]) -> np.ndarray:
    """Returns whether the neighbour shares a label, bool [N]."""
    sets = [frozenset(names) for names in labels]
    return np.array([bool(sets[i] & sets[j]) for i, j in enumerate(nearest)])


def mean_over_labels(right: np.ndarray, labels: Sequence[Sequence[str]]) -> float:
    """Returns the share of `right`, averaged over labels."""
    names = sorted({name for crop in labels for name in crop})
    has = np.array([[name in crop for name in names] for crop in labels])
    return float(np.mean((has * right[:, None]).sum(axis=0) / has.sum(axis=0)))


def group_mean_errors(proteins: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the error of predicting each crop as the mean of its group without it.

    Args:
        proteins: [N, S, S].
        groups: [N]; each group has at least two crops.

    Returns:
        Mean squared errors, [N].
    """
    errors = np.empty(len(proteins))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        images = proteins[members].astype(np.float64)
        others = (images.sum(axis=0) - images) / (len(members) - 1)
        errors[members] = np.mean((images - others) ** 2, axis=(1, 2))
    return errors


def intensity_statistics(images: np.ndarray) -> np.ndarray:
    """Returns intensity statistics of crops, without shape.

    They are mean, standard deviation and quantiles of each channel, and the correlation
    of the protein with each marker over the pixels.

    Args:
        images: [N, S, S, C].

    Returns:
        [N, 9 C + C - 1].
    """
    pixels = images.reshape(len(images), -1, images.shape[-1]).astype(np.float32)
    means, deviations = pixels.mean(axis=1), pixels.std(axis=1)
    quantiles = np.quantile(pixels, QUANTILES, axis=1)
    centred = (pixels - means[:, None]) / np.maximum(deviations[:, None], 1e-6)
    correlations = np.mean(centred[..., :1] * centred[..., 1:], axis=1)
    return np.concatenate([means, deviations, *quantiles, correlations], axis=1)


if __name__ == "__main__":
    with command_line.guard(command_line.GOES_ON):
        main()
