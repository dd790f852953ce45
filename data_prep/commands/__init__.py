"""The commands of ``python -m data_prep``, one a module."""

from collections.abc import Mapping

from tfvqgen.errors import require_in_range


def require_limits(args, limits: Mapping[str, tuple[float, float]]) -> None:
    """Raises UserError if a flag's number is not within its limits.

    Args:
        args: The flags; those that are None were not given, and fit.
        limits: By the flag's name, the least and the greatest number.
    """
    for name, (low, high) in limits.items():
        value = getattr(args, name)
        fits = value is None or low <= value <= high
        require_in_range(f"--{name}", value, fits, f"{low} to {high}")
