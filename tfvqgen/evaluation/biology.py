"""Comparison of measurements of generated and real cells: ``biology``."""

# Shapes: N cells of S statistics and P rings.

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.metrics.cell_statistics import (
    RING_EDGES,
    STATISTICS,
    cell_statistics,
)
from tfvqgen.evaluation.metrics.intervals import (
    distance_metric,
    interval_origin,
    metric,
    metrics,
)
from tfvqgen.generation.model_info import ModelInfo

DISTANCE_RESAMPLES = 200
# Fewer cells are not compared.
MIN_CELLS = 10
_SHARES = np.linspace(0, 1, 41)


class CellMeasurements(NamedTuple):
    """Measurements of a set of cells; NaN for what cannot be measured."""

    statistics: np.ndarray  # [N, S].
    rings: np.ndarray  # Shares of the protein in rings around the nucleus, [N, P].


def missing_channels(info: ModelInfo) -> str | None:
    """Returns why the cells of the data cannot be measured; None if they can."""
    protein, nucleus = (info.display[colour] for colour in ("green", "blue"))
    if nucleus and protein and nucleus != protein:
        return None
    return (
        "no channels of nucleus and protein: the display of the data names "
        f"{nucleus or 'none'} blue and {protein or 'none'} green"
    )


def measure_cells(images: ImageSet, info: ModelInfo, name: str) -> CellMeasurements:
    """Measures cells by the channels displayed blue (nucleus) and green (protein)."""
    _, protein, nucleus = info.display_channels
    area = 1.0 if info.pixel_size is None else info.pixel_size**2
    found = []
    for batch in images.batches(f"statistics of {name}"):
        planes = batch / np.iinfo(batch.dtype).max
        found.append(cell_statistics(planes[..., nucleus], planes[..., protein]))
    statistics, rings = map(np.concatenate, zip(*found, strict=True))
    statistics[:, STATISTICS.index("nucleus_area")] *= area
    return CellMeasurements(statistics, rings)


def biology_section(
    sets: Mapping[str, CellMeasurements], info: ModelInfo, *, seed: int
) -> dict[str, Any]:
    """Returns how far the statistics of sets of cells are from the held-out ones."""
    units = {
        "nucleus_area": "pixels" if info.pixel_size is None else "µm²",
        "protein_distance": "radii",
    }
    return {
        **interval_origin(seed),
        "n": len(sets["held_out"].statistics),
        "distance_resamples": DISTANCE_RESAMPLES,
        "statistics": {
            statistic: {
                "unit": units.get(statistic, ""),
                **_compared({k: x.statistics[:, i] for k, x in sets.items()}, seed),
            }
            for i, statistic in enumerate(STATISTICS)
        },
        "rings": {
            "edges": list(RING_EDGES),
            **{name: _ring_shares(cells, seed) for name, cells in sets.items()},
        },
    }


def _compared(values: Mapping[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Returns the means and quantiles of a statistic, and distances of its sets."""
    others = {name: some[np.isfinite(some)] for name, some in values.items()}
    quantiles = {
        name: np.quantile(some, _SHARES).tolist()
        for name, some in others.items()
        if len(some)
    }
    real = others.pop("held_out")
    return {
        "held_out": _mean(real, seed),
        "quantiles": {"shares": _SHARES.tolist(), **quantiles},
        "sets": {
            name: {**_mean(some, seed), **_distances(real, some, seed)}
            for name, some in others.items()
        },
    }


def _distances(real: np.ndarray, values: np.ndarray, seed: int) -> dict[str, Any]:
    """Returns both distances of two distributions; None if there are too few values."""
    from scipy import stats

    if min(len(real), len(values)) < MIN_CELLS or np.ptp(real) == 0:
        return {"wasserstein": None, "kolmogorov_smirnov": None}
    # In standard deviations of the real cells, so that statistics can be compared.
    pair = (real / real.std(), values / real.std())

    def kolmogorov_smirnov(some: np.ndarray, others: np.ndarray) -> float:
        return stats.ks_2samp(some, others, method="asymp").statistic

    found = {}
    for name, distance in (
        ("wasserstein", stats.wasserstein_distance),
        ("kolmogorov_smirnov", kolmogorov_smirnov),
    ):
        others = resampled(distance, *pair, seed=seed)
        found[name] = distance_metric(distance(*pair), others, least=0)
    return found


def resampled(
    distance: Callable[[np.ndarray, np.ndarray], float],
    values: np.ndarray,
    others: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Returns distances after resampling both sets, [DISTANCE_RESAMPLES]."""
    rng = np.random.default_rng(seed)
    found = [
        distance(*(rng.choice(some, len(some)) for some in (values, others)))
        for _ in range(DISTANCE_RESAMPLES)
    ]
    return np.array(found)


def _ring_shares(cells: CellMeasurements, seed: int) -> list[dict[str, Any]]:
    rings = cells.rings[np.isfinite(cells.rings).all(axis=1)]
    if not len(rings):
        return []
    names = [str(index) for index in range(rings.shape[1])]
    return list(metrics(rings, names, seed).values())


def _mean(values: np.ndarray, seed: int) -> dict[str, Any]:
    return {"n": len(values), "mean": metric(values, seed) if len(values) else None}
