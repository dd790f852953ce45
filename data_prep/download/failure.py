"""Why an image could not be fetched."""

import enum


class Again(enum.Enum):
    """Whether the same request may succeed later."""

    NEVER = "never"
    # Damage on the way would have been noticed and would pass; what is there twice
    # is what the server has.
    ONCE = "once"
    LATER = "later"


class Failure(Exception):
    """An attempt at an image failed.

    Attributes:
        reason: What happened, in a few words, the same for like failures.
        again: Whether another attempt makes sense.
        wait: Seconds that the server asked to wait, None if it did not say.
    """

    def __init__(self, reason: str, again: Again, wait: float | None = None):
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.wait = wait
