"""What a client needs of a way to talk to TensorFlow Serving."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

# A reply is read up to this size; what is longer is not an answer to our requests.
MOST_BYTES = 256 * 2**20


class Served(NamedTuple):
    """A model as a server has it.

    Attributes:
        version: Which one answers.
        signatures: What it can be asked for.
    """

    version: int
    signatures: frozenset[str]


class VersionState(NamedTuple):
    """What a server says of one version of a model.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        message: Why it is so, if something went wrong.
    """

    version: int
    state: str
    message: str = ""


class Transport(Protocol):
    """A way to talk to one model of a server.

    Every method takes the seconds that it may take, and raises
    :class:`tfvqgen.serving.failure.Failure`.

    Attributes:
        protocol: Its name, and the port where it is spoken as a rule.
        address: The server's, in full.
    """

    protocol: str
    address: str

    def served(self, version: int | str | None, timeout: float) -> Served:
        """Returns the version of a number or label, None being the newest."""
        ...

    def states(self, timeout: float) -> list[VersionState]:
        """Returns what becomes of each version; none if the model is unknown."""
        ...

    def predict(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        version: int,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: By name, each [N, ...].
            outputs: The names of those that are wanted; one alone must be the only
                one that the signature has.
            version: Which version is to answer.
            timeout: In seconds.

        Returns:
            The outputs by name, each [N, ...]: strings as objects (bytes), numbers as
            arrays of their type, or of int64 and float64 where the protocol does not
            tell types.
        """
        ...

    def close(self) -> None:
        """Gives connections back."""
        ...
