"""Whether generated cells repeat what was learnt: ``memorisation``."""

# Shapes: M generated cells, N held-out and T training crops, F features.

from typing import Any, NamedTuple

import numpy as np

from tfvqgen.evaluation.metrics.memorisation import Nearness, nearness, share_below
from tfvqgen.evaluation.sections.figures import figure, interval_origin

# How near is called suspiciously near: as the nearest so many of real crops are.
SUSPICIOUS = 0.05
_QUANTILES = 41


class Memory(NamedTuple):
    """What was found with one extractor.

    Attributes:
        section: The object of ``metrics.json``.
        generated: Of each generated cell.
    """

    section: dict[str, Any]
    generated: Nearness


def halves(groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Parts crops into two about equal halves that share no group.

    Args:
        groups: The group of each crop, [N].
        seed: Of the choice.

    Returns:
        Numbers of crops of each half; the second is empty with one group alone.
    """
    names, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(members, minlength=len(names))[order]
    # A group goes to the first half as long as that leaves it below half of all.
    before = np.cumsum(sizes) - sizes
    first = np.isin(members, order[before * 2 < sizes.sum()])
    if first.all() and len(names) > 1:
        first = members != order[-1]
    return np.flatnonzero(first), np.flatnonzero(~first)


def memorisation_section(
    generated: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
) -> Memory:
    """Compares how near generated cells and unseen real ones are to training crops.

    Half of the held-out crops stand beside the training crops, and the other half,
    from other groups, are what real crops that were never learnt from look like.

    Args:
        generated: Features of generated cells, [M, F].
        training: Of training crops, [T, F].
        held_out: Of held-out crops, [N, F].
        groups: Theirs, [N].
        seed: Of the halves, the parts and the bootstrap.
    """
    beside, unseen = halves(groups, seed)
    found = nearness(generated, training, held_out[beside], seed=seed)
    found = found._replace(held_out=beside[found.held_out])
    section = {
        **interval_origin(seed),
        "n": len(generated),
        "n_training": len(training),
        "n_held_out": len(beside),
        "n_unseen": len(unseen),
        "ratio": {"generated": figure(found.ratio, seed), "real": None},
        "suspiciously_near": None,
        "expected_suspiciously_near": SUSPICIOUS,
        "quantiles": {
            "shares": np.linspace(0, 1, _QUANTILES).tolist(),
            "generated": _quantiles(found.ratio),
            "real": None,
        },
    }
    if len(unseen):
        real = nearness(held_out[unseen], training, held_out[beside], seed=seed)
        near = share_below(found.overall, real.overall, SUSPICIOUS)
        section["ratio"]["real"] = figure(real.ratio, seed)
        section["quantiles"]["real"] = _quantiles(real.ratio)
        section["suspiciously_near"] = figure(near, seed)
    return Memory(section, found)


def _quantiles(values: np.ndarray) -> list[float]:
    return np.quantile(values, np.linspace(0, 1, _QUANTILES)).tolist()
