"""A server's reply, held against what its model says of itself."""

# Shapes: N cells of H x W pixels and C channels.

import numpy as np

from tfvqgen.generation.about import About
from tfvqgen.generation.source import Cells
from tfvqgen.serving.failure import Cause, Failure

RAW_OUTPUTS = ("image_bytes", "top_codes", "bottom_codes")


def read_cells(about: About, rows: int, outputs: dict[str, np.ndarray]) -> Cells:
    """Returns the cells of a reply.

    Args:
        about: The model.
        rows: How many were asked for (N).
        outputs: By name, of their types or of int64 (JSON has no other).

    Raises:
        Failure: An output is missing, or its shape, type or a value is wrong.
    """
    greatest = np.iinfo(about.dtype).max
    codes = about.num_embeddings - 1
    return Cells(
        _read(outputs, "image", (rows, *about.image_shape), about.dtype, greatest),
        _read(outputs, "top_codes", (rows, *about.top_shape), "int32", codes),
        _read(outputs, "bottom_codes", (rows, *about.bottom_shape), "int32", codes),
    )


def read_raw_image(
    about: About, outputs: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Replaces the bytes of images by the images.

    Args:
        about: The model.
        outputs: With ``image_bytes``, bytes [N]: an image's values in the order of
            [H, W, C], the lower byte of a value first.

    Returns:
        The outputs with ``image`` [N, H, W, C] instead.

    Raises:
        Failure: There are no bytes, or not as many as an image has.
    """
    dtype = np.dtype(about.dtype).newbyteorder("<")
    expected = int(np.prod(about.image_shape)) * dtype.itemsize
    images = []
    for value in outputs.get("image_bytes", np.zeros(0)):
        if not isinstance(value, bytes) or len(value) != expected:
            received = len(value) if isinstance(value, bytes) else type(value).__name__
            raise Failure(
                Cause.WRONG_REPLY, f"image_bytes of {received} instead of {expected}"
            )
        images.append(np.frombuffer(value, dtype).reshape(about.image_shape))
    return {**outputs, "image": np.array(images, about.dtype)}


def _read(outputs, name, shape, dtype, greatest) -> np.ndarray:
    if name not in outputs:
        raise Failure(Cause.WRONG_REPLY, f"no output {name}, only {sorted(outputs)}")
    value = outputs[name]
    if value.shape != shape or value.dtype not in (np.dtype(dtype), np.dtype(np.int64)):
        raise Failure(
            Cause.WRONG_REPLY,
            f"{name} {value.dtype} {value.shape} instead of {dtype} {shape}",
        )
    if value.size and not 0 <= value.min() <= value.max() <= greatest:
        raise Failure(
            Cause.WRONG_REPLY,
            f"{name} from {value.min()} to {value.max()} instead of 0 to {greatest}",
        )
    return value.astype(dtype)
