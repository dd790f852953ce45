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

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

UNTRAINED_SEEDS = (1, 2)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CHUNK = 512


def main() -> None:
    parser = case.parser(__doc__)
    parser.add_argument("--crops", type=Path, required=True, help="Folder of crops.")
    parser.add_argument("--steps", type=int, help="Training steps.")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    text = "Training steps of the network without the source protein."
    parser.add_argument("--blind_steps", type=int, help=text)
    args = parser.parse_args()
    case.import_tensorflow(args.threads)
    from data_prep.embedding.crop_features import read_features
    from data_prep.embedding.feature_learning import embed
    from data_prep.embedding.network_settings import settle

    steps = [] if args.steps is None else [f"steps={args.steps}"]
    folder = embed(args.crops, overrides=[*steps, *args.set], seed=args.seed)
    settings = settle(folder)
    experiment = Experiment(folder, settings)
    names = ("steps", "width", "batch_size")
    shared = {"seed": settings.seed}
    shared |= {name: getattr(settings.config, name) for name in names}
    errors = experiment.errors(args.blind_steps)
    case.write({"case": "held_out_error", **shared, **errors}, args)
    features = {
        "trained": read_features(folder.folder).values,
        "intensity": intensity_statistics(experiment.images()),
        **experiment.untrained_features(),
    }
    groups, labels = experiment.groups, experiment.labels
    right = {
        name: agreements(neighbours_across_groups(values, groups), labels)
        for name, values in features.items()
    }
    for name in features:
        found = experiment.agreement_metrics(right[name], right["untrained"])
        line = {"case": "label_agreement", **shared, "features": name, **found}
        case.write(line, args)


class Experiment:
    """Measurements on a folder of crops with a trained network and its settings."""

    def __init__(self, folder, settings):
        from data_prep.embedding.crop_images import CropImages
        from data_prep.embedding.pairing import Pairs, group_crops

        config = settings.config
        self.folder = folder
        self.settings = settings
        self.crop_images = CropImages(folder, settings.channels, config.size)
        names = ("min_group", "validation_share")
        choice = {name: getattr(config, name) for name in names}
        groups = group_crops(folder.rows, **choice, seed=settings.seed)
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
        last = _last_validation(self.folder.folder / "inpainting")
        proteins = self.images()[self.held_out][..., 0]
        by_group = group_mean_errors(proteins, self.groups[self.held_out])
        metrics = {
            "held_out_pairs": self.validation.num_examples,
            "held_out_groups": len(np.unique(self.groups[self.held_out])),
            "network": last["protein_mse"],
            "group_mean_image": float(by_group.mean()),
            "mean_image": last["mean_image_mse"],
            "protein_of_another_group": self._swapped_error(),
        }
        if blind_steps != 0:
            metrics["without_protein"] = self._blind_error(blind_steps)
        return metrics

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

    def agreement_metrics(self, right, untrained) -> dict[str, Any]:
        """Returns the label agreement of features, relative to untrained ones."""
        from tfvqgen.evaluation.metrics.intervals import bootstrap_interval

        names, places = np.unique(self.groups, return_inverse=True)
        sums = np.zeros((len(names), 3))
        np.add.at(sums, places, np.stack([right, untrained, right | True], 1))

        def share_and_ratio(means):
            return np.array([means[0] / means[2], means[0] / max(means[1], 1e-9)])

        found = bootstrap_interval(sums, share_and_ratio, seed=0)
        # A single group gives no interval.
        ends = found.T.tolist() if np.isfinite(found).all() else (None, None)
        ratio = float(right.mean() / untrained.mean()) if untrained.any() else None
        return {
            "crops": len(right),
            "right": float(right.mean()),
            "right_interval": ends[0],
            "times_untrained": ratio,
            "times_untrained_interval": ends[1],
            "held_out_right": float(right[self.held_out].mean()),
        }

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

            def loss(self, batch):
                return super().loss(_without_source_protein(batch))

            def validation_sums(self, batch):
                return super().validation_sums(_without_source_protein(batch))

        config = self.settings.config
        if steps is not None:
            config = dataclasses.replace(config, steps=steps)
        strategy = distribution.make_strategy()
        keras.utils.set_random_seed(self.settings.seed)
        with strategy.scope():
            stage = BlindStage(config, self.training, self.validation)
        workdir = Workdir(self.folder.folder / "inpainting")
        Loop(stage, strategy, workdir, seed=self.settings.seed).run()
        return _last_validation(workdir.stage("blind"))["protein_mse"]


def _without_source_protein(batch: dict[str, Any]) -> dict[str, Any]:
    import tensorflow as tf

    protein, markers = batch["source"][..., :1], batch["source"][..., 1:]
    return {**batch, "source": tf.concat([tf.zeros_like(protein), markers], axis=-1)}


def _last_validation(folder: Path) -> dict[str, Any]:
    from tfvqgen.training.metrics_log import read_metrics

    lines = read_metrics(folder / "metrics.jsonl")
    return [line for line in lines if line["split"] == "validation"][-1]


def neighbours_across_groups(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the nearest crop of another group for each crop, int [N].

    Features [N, F] are standardized, distances are Euclidean.
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


def group_mean_errors(proteins: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the error of predicting each crop as the mean of its group without it.

    `proteins` are [N, S, S]; each group has at least two. The result has one mean
    squared error for each, [N].
    """
    errors = np.empty(len(proteins))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        images = proteins[members].astype(np.float64)
        others = (images.sum(axis=0) - images) / (len(members) - 1)
        errors[members] = np.mean((images - others) ** 2, axis=(1, 2))
    return errors


def intensity_statistics(images: np.ndarray) -> np.ndarray:
    """Returns intensity statistics of crops, [N, S, S, C] -> [N, 9 C + C - 1].

    They are mean, standard deviation and quantiles of each channel, and the correlation
    of the protein with each marker over the pixels.
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
