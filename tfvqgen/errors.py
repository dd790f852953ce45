"""What a person at the keyboard is meant to read when something is wrong."""


class UserError(ValueError):
    """A mistake that whoever runs the command can mend.

    The message is one sentence in the form *what is wrong, what was expected, what was
    received*. The commands print it as one line, ``error: <message>``, and exit with
    status 2 and no traceback; a program that imports the library catches it as a
    ``ValueError``.
    """


def require_in_range(name: str, value: object, fits: bool, expected: str) -> None:
    """Raises UserError if a number that the user gave does not fit.

    Args:
        name: Of the number, as the user knows it.
        value: The number.
        fits: Whether it fits; write it so that NaN does not.
        expected: What does.
    """
    if not fits:
        raise UserError(
            f"{name} is out of range: expected {expected}. Received: {name}={value}"
        )


class DataError(UserError):
    """Data on disk are missing, damaged or not what ``dataset.json`` promised.

    The message names the file, and the record in it where one is to blame.
    """
