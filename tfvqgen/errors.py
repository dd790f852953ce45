"""Errors whose message is meant for the user."""

import importlib.util


class UserError(ValueError):
    """A mistake that the user can correct.

    The message is one sentence, *what is wrong: expected what. Received: what*. The
    commands print it as one line, ``error: <message>``, and exit with status 2 and no
    traceback. Programs that use the library can catch it as a ``ValueError``.
    """


class DataError(UserError):
    """Data on disk are missing, damaged or do not match their description.

    The message names the file and, where it applies, the record in the file.
    """


def require_in_range(name: str, value: object, fits: bool, expected: str) -> None:
    """Raises UserError if a number of the user is out of range.

    `fits` must be False for NaN; `expected` is the range in words.
    """
    if not fits:
        raise UserError(
            f"{name} is out of range: expected {expected}. Received: {name}={value}"
        )


def require_package(module: str, extra: str) -> None:
    """Raises UserError if a module of the extra `extra` is not installed."""
    if importlib.util.find_spec(module) is None:
        raise UserError(
            f"a package is not installed: expected the extra `{extra}` "
            f"(pip install 'tfvqgen[{extra}]'). Received: no module {module}"
        )
