"""The one kind of error that a person at the keyboard is meant to read."""


class UserError(ValueError):
    """A mistake that whoever runs the command can mend.

    The message is one sentence in the form *what is wrong, what was expected, what was
    received*. The commands print it as one line, ``error: <message>``, and exit with
    status 2 and no traceback; a program that imports the library catches it as a
    ``ValueError``.
    """


class DataError(UserError):
    """Data on disk are missing, damaged or not what ``dataset.json`` promised.

    The message names the file, and the record in it where one is to blame.
    """
