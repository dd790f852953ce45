"""How cells are drawn from what the priors say."""

# Shapes: N cells.

import dataclasses

import numpy as np

from tfvqgen.errors import require_in_range

# What graphs compute with is float32, in which smaller numbers are 0, larger infinite.
_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """How cells are drawn.

    Attributes:
        temperature: Above 0.
        top_p: Above 0, at most 1 (off).
        guidance: At least 0 (off).

    Raises:
        UserError: A number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    guidance: float = 0.0

    def __post_init__(self):
        for name, low, high, expected in (
            ("temperature", _LEAST, _MOST, "a number above 0"),
            ("top_p", _LEAST, 1, "above 0, at most 1"),
            ("guidance", 0, _MOST, "a number from 0 on"),
        ):
            value = getattr(self, name)
            require_in_range(name, value, low <= value <= high, expected)

    def to_json(self) -> dict[str, float]:
        """Returns the numbers by name."""
        names = (field.name for field in dataclasses.fields(Drawing))
        return {name: getattr(self, name) for name in names}

    def rows(self, number: int) -> list[np.ndarray]:
        """Returns the numbers in order, each for so many cells, float32 [N]."""
        return [np.full(number, x, np.float32) for x in self.to_json().values()]
