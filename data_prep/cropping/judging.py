"""Which crops take part: their rows, judged by what was measured."""

import dataclasses

from data_prep.cropping import quality
from tfvqgen.data.crops import Crop

_SEPARATOR = "; "


def judged(crop: Crop, thresholds: quality.Thresholds) -> Crop:
    """Returns a crop's row with whether it is accepted, and why not.

    Judged are the cells of its row, so that limits can change without cutting again.
    """
    columns = {
        name: float(crop.metadata[name])
        for name in quality.COLUMNS
        if crop.metadata.get(name)
    }
    why = quality.reasons(columns, crop.labels, thresholds)
    reason = _SEPARATOR.join(why)
    return dataclasses.replace(crop, accepted=not why, reason=reason)


def reason_kinds(reason: str) -> list[str]:
    """Returns a crop's reasons without their figures."""
    reasons = reason.split(_SEPARATOR) if reason else []
    return [each.partition(" (")[0] for each in reasons]
