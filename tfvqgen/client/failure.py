"""What can go wrong between a client and a server, and how it is said."""

import enum

from tfvqgen.errors import UserError

_LONGEST = 400


class Cause(enum.Enum):
    """Why there is no answer.

    The value is *what is wrong: what was expected*, with a place for the protocol.
    """

    NOBODY = "no server answers: expected TensorFlow Serving's {protocol}"
    UNAVAILABLE = "the server is not available: expected it to answer"
    LOADING = "the model is still loading: expected it to be AVAILABLE"
    STRANGER = "something else answers: expected TensorFlow Serving's {protocol}"
    NO_MODEL = "the server has no such model: expected the name of one that it serves"
    NO_VERSION = "the server has no such version: expected one that it serves"
    NOT_LOADED = "the server could not load the model: expected it to be AVAILABLE"
    NOT_OURS = "not a model of tfvqgen: expected one that export.py wrote"
    REFUSED = "the server refused the request: expected values that the model takes"
    TIMEOUT = "the server took too long: expected an answer in time"
    WRONG_REPLY = "the server's reply is wrong: expected cells as the model describes"
    OTHER = "the server failed: expected an answer"

    @property
    def passes(self) -> bool:
        """Whether the same request may well succeed a little later."""
        return self in (Cause.NOBODY, Cause.UNAVAILABLE, Cause.LOADING)


class Failure(Exception):
    """A request without an answer.

    Attributes:
        cause: Its kind.
        detail: What was received, in the words of whoever said it.
    """

    def __init__(self, cause: Cause, detail: str):
        super().__init__(cause, detail)
        self.cause = cause
        self.detail = detail

    def as_user_error(self, protocol: str, where: str) -> UserError:
        """Returns the failure as a sentence.

        Args:
            protocol: What was spoken, and at which port it is spoken as a rule.
            where: Which server and model was asked.
        """
        wrong = self.cause.value.format(protocol=protocol)
        detail = shortened(self.detail) or "nothing"
        return UserError(f"{wrong}. Received: {detail} ({where})")


def shortened(text: str) -> str:
    """Returns a server's words as one line.

    What TensorFlow adds about where in its graph they were said is left out.
    """
    line = " ".join(text.partition("[[{{")[0].split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
