"""What ``dataset.json`` says about one shard; needs no TensorFlow to be read."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records, as ``dataset.json`` describes it.

    Attributes:
        path: Relative to the folder of ``dataset.json``.
        bytes: The file's size.
        num_examples: The number of records in it.
        sha256: Of the file, in hexadecimal.
    """

    path: str
    bytes: int
    num_examples: int
    sha256: str
