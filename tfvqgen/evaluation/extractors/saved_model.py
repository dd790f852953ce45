"""Any network as an extractor: a SavedModel that the user brings."""

# Shapes: B images of H x W pixels and C channels; F features.

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import from_unit, to_unit
from tfvqgen.errors import DataError
from tfvqgen.files import require_plain_path
from tfvqgen.generation.model_info import ModelInfo

SIGNATURE = "serving_default"
EXPECTED = (
    f"a SavedModel whose signature {SIGNATURE} takes images [batch, height, width, "
    "channels] as uint8, uint16 or float32 in [0, 1] and returns one tensor float32 "
    "[batch, features]"
)
_DTYPES = (tf.uint8, tf.uint16, tf.float32)
_COLOURS = 3
# What loading raises for files that are missing, cut or flipped.
_DAMAGE = (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError)


class _Input(NamedTuple):
    """What a signature takes: its argument's name, and the images' form."""

    name: str
    spec: tf.TensorSpec


class SavedModelExtractor:
    """A SavedModel that finds features.

    Images are brought to the size that it takes. One that takes three channels is given
    those that are shown red, green and blue where the images have others besides.

    Loading a SavedModel runs what it holds: use only those of people you trust.

    Args:
        path: The folder with ``saved_model.pb``.
        name: What it is called in reports.
        about: Describes the images.

    Attributes:
        name: What it is called in reports.
        size: How many features it finds (F).

    Raises:
        UserError: TensorFlow could not read from such a path.
        DataError: There is no SavedModel, it is damaged, or it takes or returns
            something else.
    """

    def __init__(self, path: str | os.PathLike, name: str, about: ModelInfo):
        self.name = name
        self._path = Path(path)
        # Its signature holds its variables only as long as it is held itself.
        self._loaded = _load(self._path)
        self._signature = self._loaded.signatures.get(SIGNATURE)
        if self._signature is None:
            found = ", ".join(self._loaded.signatures) or "none"
            raise self._refusal(f"the signatures {found}")
        self._input = self._find_input()
        self._channels = self._choose_channels(about)
        self._graph = tf.function(self._find, autograph=False, reduce_retracing=True)
        self.size = self._try(about)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of images, float32 [B, F].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._graph(tf.convert_to_tensor(images)).numpy()

    def _find_input(self) -> _Input:
        _, inputs = self._signature.structured_input_signature
        if len(inputs) != 1:
            raise self._refusal(f"the inputs {', '.join(sorted(inputs)) or 'none'}")
        ((name, spec),) = inputs.items()
        fits = spec.shape.rank == 4 and spec.shape[0] is None
        if not fits or spec.dtype not in _DTYPES:
            raise self._refusal(f"{name} {spec.dtype.name} {_text(spec.shape)}")
        return _Input(name, spec)

    def _choose_channels(self, about: ModelInfo) -> list[int | None]:
        """Returns the channels that it is given, None where one is black."""
        wanted, number = self._input.spec.shape[-1], about.image_shape[-1]
        if wanted in (None, number):
            return list(range(number))
        if wanted == _COLOURS:
            return list(about.display_channels)
        raise self._refusal(
            f"images of {wanted} channels where the data have {number} "
            f"({', '.join(about.channels)})"
        )

    def _try(self, about: ModelInfo) -> int:
        """Returns how many features it finds in an image of the data's form."""
        black = np.zeros((1, *about.image_shape), about.dtype)
        outputs = self._signature.structured_outputs
        if len(outputs) != 1:
            raise self._refusal(f"the outputs {', '.join(sorted(outputs)) or 'none'}")
        try:
            found = self._graph(tf.constant(black))
        except (tf.errors.OpError, ValueError) as error:
            line = (str(error).strip() or repr(error)).splitlines()[0]
            raise self._refusal(f"one that fails: {line}") from error
        if found.shape.rank != 2 or found.shape[0] != 1 or not found.dtype.is_floating:
            raise self._refusal(f"{found.dtype.name} {_text(found.shape)} of one image")
        return int(found.shape[1])

    def _find(self, images):
        images = to_unit(images)
        black = tf.zeros_like(images[..., 0])
        planes = [black if x is None else images[..., x] for x in self._channels]
        images = _resized(tf.stack(planes, axis=-1), self._input.spec.shape[1:3])
        if self._input.spec.dtype != tf.float32:
            images = from_unit(images, self._input.spec.dtype.name)
        (found,) = self._signature(**{self._input.name: images}).values()
        return tf.cast(found, tf.float32) if found.dtype.is_floating else found

    def _refusal(self, received: str) -> DataError:
        return DataError(
            f"no extractor of features: expected {EXPECTED}. "
            f"Received: {self._path} with {received}"
        )


def _load(path: Path):
    require_plain_path(path)
    if not (path / "saved_model.pb").is_file():
        raise DataError(
            f"no extractor of features: expected {EXPECTED}. "
            f"Received: {path} without saved_model.pb"
        )
    try:
        return tf.saved_model.load(str(path))
    except _DAMAGE as error:
        line = (str(error).strip() or repr(error)).splitlines()[0]
        raise DataError(
            f"damaged SavedModel: expected {EXPECTED}. Received: {path} ({line})"
        ) from error


def _resized(images, wanted):
    """Returns images of the wanted height and width; None is as they are."""
    size = [w or have for w, have in zip(wanted, images.shape[1:3], strict=True)]
    if size == images.shape[1:3].as_list():
        return images
    # With antialias it is the mean over an area where images become smaller.
    images = tf.image.resize(images, size, "bilinear", antialias=True)
    return tf.clip_by_value(images, 0.0, 1.0)


def _text(shape: tf.TensorShape) -> str:
    sizes = ["batch", *(shape[1:].as_list() if shape.rank else [])]
    if shape.rank is None:
        return "of any shape"
    return f"[{', '.join('any' if n is None else str(n) for n in sizes[: shape.rank])}]"
