"""Who reads what strangers wrote: every parser by name, with whole inputs for it."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing import (
    crop_targets,
    image_targets,
    layout_targets,
    model_targets,
    record_targets,
    screening_targets,
    word_targets,
)
from benchmarks.faults.fuzzing.judging import Inputs

# From a name to what makes whole inputs in an empty folder and returns damaged ones.
TARGETS: dict[str, Callable[[Path], Inputs]] = {
    **record_targets.TARGETS,
    **layout_targets.TARGETS,
    **crop_targets.TARGETS,
    **screening_targets.TARGETS,
    **image_targets.TARGETS,
    **word_targets.TARGETS,
    **model_targets.TARGETS,
}
