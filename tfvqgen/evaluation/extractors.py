"""Extractors of image features, for distances between sets of images."""

# Shapes: N images, B of a batch, H x W pixels and C channels; F features.

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import from_unit, to_unit
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.files import require_plain_path
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.saved_model import LOAD_ERRORS

CLASSIFIER = "classifier"
RANDOM = "random"
INCEPTION = "inception"
SIGNATURE = "serving_default"
EXPECTED = (
    f"a SavedModel whose signature {SIGNATURE} takes images [batch, height, width, "
    "channels] as uint8, uint16 or float32 in [0, 1] and returns one tensor float32 "
    "[batch, features]"
)
_DTYPES = (tf.uint8, tf.uint16, tf.float32)


class Extractor(Protocol):
    """Computes features of images: F = `size`; `name` is the name in reports."""

    name: str
    size: int

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of uint8 or uint16 images, float32 [B, F]."""
        ...


def frechet_name(extractor_name: str) -> str:
    """Returns the name of the Fréchet distance; FID only for ``inception=FOLDER``."""
    return "FID" if extractor_name == INCEPTION else f"FD-{extractor_name}"


def extract_features(
    extractor: Extractor, images: ImageSet, description: str
) -> np.ndarray:
    """Returns the features of a set of images in order, float32 [N, F].

    Raises:
        DataError: The extractor returns another shape or values that are not finite.
    """
    found = np.empty((len(images), extractor.size), np.float32)
    start = 0
    for batch in images.batches(f"{extractor.name} features of {description}"):
        features = extractor.features(batch)
        shape, expected = list(features.shape), [len(batch), extractor.size]
        if shape != expected or not np.isfinite(features).all():
            raise DataError(
                f"the extractor {extractor.name} fails: expected finite features "
                f"{expected}. Received: shape {shape}"
                f"{' with NaN or infinity' if shape == expected else ''}"
            )
        found[start : start + len(batch)] = features
        start += len(batch)
    return found


def choose_extractors(
    names: Sequence[str], info: ModelInfo, classifier: Callable[[], Extractor]
) -> list[Extractor]:
    """Returns the named extractors in order.

    Names are those of :class:`~tfvqgen.evaluation.settings.EvaluationSettings`. The
    function that returns the classifier is called last, because it may train it.

    Raises:
        UserError: A name is unknown, reserved or given twice.
        DataError: A folder is not a SavedModel that extracts features.
    """
    paths: dict[str, str | None] = {}
    for text in names:
        name, path = _parse(text)
        if name in paths:
            raise UserError(
                "two extractors have the same name: expected --extractor NAME=FOLDER "
                f"with different names. Received: extractor={text}"
            )
        paths[name] = path
    found: dict[str, Extractor] = {RANDOM: RandomNetwork(info.image_shape[-1])}
    for name, path in paths.items():
        if path is not None:
            found[name] = SavedModelExtractor(path, name, info)
    return [classifier() if name == CLASSIFIER else found[name] for name in paths]


def _parse(text: str) -> tuple[str, str | None]:
    """Returns the name of an extractor and its folder, if it has one."""
    reserved = {CLASSIFIER, RANDOM}
    if text in reserved:
        return text, None
    name, equals, path = text.partition("=")
    if not equals:
        # A text that is not a folder is more likely a misspelled name.
        name = Path(os.path.abspath(text)).name
        path = text if os.path.isdir(text) else ""
        reserved.add(INCEPTION)
    if not name or not path or name in reserved:
        raise UserError(
            f"no extractor: expected {CLASSIFIER}, {RANDOM}, or NAME=FOLDER with "
            f"another name. Received: extractor={text}"
        )
    return name, path


class RandomNetwork:
    """A convolutional network with fixed random weights, used as a control.

    Three 3 x 3 convolutions with ReLU, each followed by 2 x 2 average pooling. The
    features are the means of the maps of each layer, so that fine and coarse structure
    both count.
    """

    _widths = (32, 64, 128)
    name = RANDOM
    size = sum(_widths)

    def __init__(self, channels: int):
        rng = np.random.default_rng(0)
        self._kernels = []
        inputs = (channels, *self._widths[:-1])
        for number, outputs in zip(inputs, self._widths, strict=True):
            # He et al. 2015: the scale stays the same from layer to layer.
            kernel = rng.normal(0, np.sqrt(2 / (9 * number)), (3, 3, number, outputs))
            self._kernels.append(tf.constant(kernel, tf.float32))
        self._graph = tf.function(self._means, autograph=False, reduce_retracing=True)

    def features(self, images: np.ndarray) -> np.ndarray:
        """See :meth:`Extractor.features`."""
        return self._graph(tf.convert_to_tensor(images)).numpy()

    def _means(self, images):
        maps, means = to_unit(images), []
        for kernel in self._kernels:
            maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME"))
            means.append(tf.reduce_mean(maps, axis=[1, 2]))
            maps = tf.nn.avg_pool2d(maps, 2, 2, "SAME")
        return tf.concat(means, axis=-1)


class SavedModelExtractor:
    """A SavedModel that the user provides; loading it runs its code.

    Images are resized to the size of its signature. If it takes three channels and the
    images have more, it receives those that are displayed red, green and blue.

    Raises:
        UserError: TensorFlow cannot read from such a path.
        DataError: There is no SavedModel, it is damaged, or it has other inputs or
            outputs.
    """

    def __init__(self, path: str | os.PathLike, name: str, info: ModelInfo):
        self.name = name
        self._path = Path(path)
        require_plain_path(self._path)
        if not (self._path / "saved_model.pb").is_file():
            raise self._refusal("no saved_model.pb")
        try:
            # The signature does not keep the variables alive.
            self._loaded = tf.saved_model.load(str(self._path))
        except LOAD_ERRORS as error:
            raise self._refusal(f"a damaged model: {_first_line(error)}") from error
        self._signature = self._loaded.signatures.get(SIGNATURE)
        if self._signature is None:
            found = ", ".join(self._loaded.signatures) or "none"
            raise self._refusal(f"the signatures {found}")
        inputs = self._signature.structured_input_signature[1]
        outputs = self._signature.structured_outputs
        if len(inputs) != 1 or len(outputs) != 1:
            names = f"the inputs {sorted(inputs)} and the outputs {sorted(outputs)}"
            raise self._refusal(names)
        ((self._argument, self._spec),) = inputs.items()
        shape, dtype = self._spec.shape, self._spec.dtype
        if shape.rank != 4 or shape[0] is not None or dtype not in _DTYPES:
            raise self._refusal(f"{self._argument} {dtype.name} {shape}")
        # The channels that it receives; None is a black one.
        self._channels = list(range(info.image_shape[-1]))
        if shape[-1] == 3 and len(self._channels) != 3:
            self._channels = list(info.display_channels)
        elif shape[-1] not in (None, len(self._channels)):
            raise self._refusal(
                f"images of {shape[-1]} channels where the data have "
                f"{len(self._channels)} ({', '.join(info.channels)})"
            )
        self._graph = tf.function(self._run, autograph=False, reduce_retracing=True)
        try:
            found = self._graph(tf.zeros((1, *info.image_shape), info.dtype))
        except (tf.errors.OpError, ValueError) as error:
            raise self._refusal(f"an error: {_first_line(error)}") from error
        if found.shape.rank != 2 or found.shape[0] != 1 or not found.dtype.is_floating:
            raise self._refusal(f"{found.dtype.name} {found.shape} of one image")
        self.size = int(found.shape[1])

    def features(self, images: np.ndarray) -> np.ndarray:
        """See :meth:`Extractor.features`."""
        return self._graph(tf.convert_to_tensor(images)).numpy()

    def _run(self, images):
        images = to_unit(images)
        black = tf.zeros_like(images[..., 0])
        planes = [black if x is None else images[..., x] for x in self._channels]
        images = tf.stack(planes, axis=-1)
        requested, given = self._spec.shape[1:3], images.shape[1:3]
        size = [a or b for a, b in zip(requested, given, strict=True)]
        if size != given.as_list():
            images = tf.image.resize(images, size, "bilinear", antialias=True)
            images = tf.clip_by_value(images, 0.0, 1.0)
        if self._spec.dtype != tf.float32:
            images = from_unit(images, self._spec.dtype.name)
        (found,) = self._signature(**{self._argument: images}).values()
        return tf.cast(found, tf.float32) if found.dtype.is_floating else found

    def _refusal(self, received: str) -> DataError:
        return DataError(
            f"no extractor of features: expected {EXPECTED}. "
            f"Received: {self._path} with {received}"
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
