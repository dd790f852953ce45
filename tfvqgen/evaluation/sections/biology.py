"""Whether generated cells measure as real ones do: ``biology``."""

# Shapes: N cells of S statistics and P rings; L labels.

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfvqgen.evaluation.generated_cells import kind_names, kinds
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.metrics.cell_statistics import (
    RING_EDGES,
    STATISTICS,
    cell_statistics,
)
from tfvqgen.evaluation.metrics.distributions import (
    RESAMPLES,
    kolmogorov_smirnov,
    resampled,
    wasserstein,
)
from tfvqgen.evaluation.sections.figures import (
    figure,
    figures,
    interval_origin,
    spread_figure,
)
from tfvqgen.generation.model_info import ModelInfo

# Distributions of fewer cells of a label are not compared.
FEWEST = 10
_QUANTILES = 41


class CellRows(NamedTuple):
    """What was measured of the cells of a set.

    Attributes:
        labels: bool [N, L].
        statistics: [N, S], NaN where there is none.
        rings: The protein's shares, [N, P].
    """

    labels: np.ndarray
    statistics: np.ndarray
    rings: np.ndarray


def missing_channels(about: ModelInfo) -> str | None:
    """Says why the data's cells can't be measured; None if they can."""
    protein, nucleus = (about.display[colour] for colour in ("green", "blue"))
    if nucleus is None or protein is None or nucleus == protein:
        return (
            "no channels of nucleus and protein: the data's display names "
            f"{nucleus or 'none'} blue and {protein or 'none'} green"
        )
    return None


def measure_cells(images: ImageSet, about: ModelInfo, what: str) -> CellRows:
    """Measures cells by their channels shown blue (nucleus) and green (protein).

    Args:
        images: The cells.
        about: Describes them.
        what: They, for the progress bar.
    """
    _, protein, nucleus = about.display_channels
    area = 1.0 if about.pixel_size is None else about.pixel_size**2
    rows, rings = [], []
    for batch in images.batches(f"statistics of {what}"):
        planes = batch / np.iinfo(batch.dtype).max
        some, shares = cell_statistics(planes[..., nucleus], planes[..., protein])
        some[:, STATISTICS.index("nucleus_area")] *= area
        rows.append(some)
        rings.append(shares)
    return CellRows(images.labels, np.concatenate(rows), np.concatenate(rings))


def biology_section(
    held_out: CellRows, others: Mapping[str, CellRows], about: ModelInfo, *, seed: int
) -> dict[str, Any]:
    """Returns how far the distributions of statistics are from held-out crops'.

    Args:
        held_out: Of real crops.
        others: By what they are of, ``generated`` among them.
        about: Of the models.
        seed: Of the drawings.
    """
    units = {
        "nucleus_area": "pixels" if about.pixel_size is None else "µm²",
        "protein_distance": "radii",
    }
    return {
        **interval_origin(seed),
        "n": len(held_out.labels),
        "distance_resamples": RESAMPLES,
        "statistics": {
            name: {
                "unit": units.get(name, ""),
                **_statistic(held_out, others, number, seed),
            }
            for number, name in enumerate(STATISTICS)
        },
        "rings": {
            "edges": list(RING_EDGES),
            "held_out": _ring_shares(held_out, seed),
            **{name: _ring_shares(rows, seed) for name, rows in others.items()},
        },
        "labels": _by_label(held_out, others["generated"], about, seed),
    }


def _statistic(
    held_out: CellRows, others: Mapping[str, CellRows], number: int, seed: int
) -> dict[str, Any]:
    real = _measured(held_out.statistics[:, number])
    columns = {
        name: _measured(rows.statistics[:, number]) for name, rows in others.items()
    }
    shares = np.linspace(0, 1, _QUANTILES)
    return {
        "held_out": {"n": len(real), "mean": figure(real, seed) if len(real) else None},
        "quantiles": {
            "shares": shares.tolist(),
            **{
                name: np.quantile(some, shares).tolist()
                for name, some in {"held_out": real, **columns}.items()
                if len(some)
            },
        },
        "sets": {name: _compared(real, some, seed) for name, some in columns.items()},
    }


def _compared(real: np.ndarray, values: np.ndarray, seed: int) -> dict[str, Any]:
    """Returns the mean and both distances; None where there are too few values."""
    found: dict[str, Any] = {
        "n": len(values),
        "mean": figure(values, seed) if len(values) else None,
        "wasserstein": None,
        "kolmogorov_smirnov": None,
    }
    if min(len(real), len(values)) < FEWEST or np.ptp(real) == 0:
        return found
    # In standard deviations of the real cells, so that statistics can be compared.
    deviation = real.std()
    pair = (real / deviation, values / deviation)
    for name, distance in (
        ("wasserstein", wasserstein),
        ("kolmogorov_smirnov", kolmogorov_smirnov),
    ):
        spread = resampled(distance, *pair, seed=seed)
        found[name] = spread_figure(distance(*pair), spread, least=0)
    return found


def _by_label(
    held_out: CellRows, generated: CellRows, about: ModelInfo, seed: int
) -> dict[str, Any]:
    found = {}
    real_kinds, made_kinds = kinds(held_out.labels), kinds(generated.labels)
    for kind, name in enumerate(kind_names(about.labels)):
        real = held_out.statistics[real_kinds[:, kind]]
        made = generated.statistics[made_kinds[:, kind]]
        if min(len(real), len(made)) < FEWEST:
            continue
        found[name] = {}
        for number, statistic in enumerate(STATISTICS):
            columns = [_measured(rows[:, number]) for rows in (real, made)]
            found[name][statistic] = {
                "held_out": {
                    "n": len(columns[0]),
                    "mean": figure(columns[0], seed) if len(columns[0]) else None,
                },
                "generated": _compared(*columns, seed),
            }
    return found


def _ring_shares(rows: CellRows, seed: int) -> list[dict[str, Any]]:
    rings = rows.rings[np.isfinite(rows.rings).all(axis=1)]
    if not len(rings):
        return []
    names = [str(number) for number in range(rings.shape[1])]
    return list(figures(rings, names, seed).values())


def _measured(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]
