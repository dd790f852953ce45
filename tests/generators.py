"""A tiny generator of untrained models, and a source of cells that costs nothing."""

import dataclasses
import functools

import keras
import numpy as np

from tests.priors import make_prior
from tests.support import CHANNELS, random_image
from tfvqgen.config import VQVAEConfig
from tfvqgen.data.dataset_info import DatasetInfo, default_display
from tfvqgen.generation.generator import Generator, describe
from tfvqgen.generation.request import Cells
from tfvqgen.models import VQVAE2

LABELS = ("Nucleoli", "Golgi apparatus", "Rods & rings")
CODES = 11


@functools.cache
def make_generator(channels: int = 3, dtype: str = "uint8") -> Generator:
    """Makes models with 16 x 16 pixels, 2 x 2 top codes and 4 x 4 bottom codes."""
    keras.utils.set_random_seed(0)
    autoencoder = VQVAE2(
        VQVAEConfig(
            image_shape=(16, 16, channels),
            hidden=8,
            residual_layers=1,
            residual_width=4,
            num_embeddings=CODES,
            embedding_dim=4,
        )
    )
    autoencoder.build()
    sizes = {"num_embeddings": CODES, "num_labels": len(LABELS)}
    sizes |= {"blocks": 1, "layers": 1}
    top = make_prior((2, 2), **sizes)
    bottom = make_prior(
        (4, 4), attention=False, condition_shape=(2, 2), seed=1, **sizes
    )
    names = CHANNELS[:channels]
    info = DatasetInfo(
        image_shape=(16, 16, channels),
        dtype=dtype,
        channels=names,
        display=default_display(names),
        pixel_size=0.32,
        labels=LABELS,
        label_policy="multi_hot",
        credit="random noise",
        splits={},
    )
    steps = {"vqvae": 1, "top": 2, "bottom": 3}
    model_info = describe("demo", info, autoencoder, top, bottom, steps)
    return Generator(model_info, autoencoder, top, bottom)


class NoiseSource:
    """Returns noise that depends on the request, and may be interrupted.

    Attributes:
        calls: The rows of each request so far.
    """

    def __init__(self, channels=3, dtype="uint8", side=16, stop_after=None):
        names = CHANNELS[:channels]
        self.model_info = dataclasses.replace(
            make_generator().model_info,
            dtype=dtype,
            channels=names,
            display=default_display(names),
            image_shape=(side, side, channels),
        )
        self.calls = []
        self._stop_after = stop_after

    @property
    def generated(self) -> int:
        """The number of cells generated so far."""
        return sum(len(labels) for labels, *_ in self.calls)

    def generate(self, *rows):
        """Raises KeyboardInterrupt after `stop_after` cells."""
        if self._stop_after is not None and self.generated >= self._stop_after:
            raise KeyboardInterrupt
        self.calls.append(rows)
        images = [self.image(*row) for row in zip(*rows, strict=True)]
        return Cells(np.stack(images), None, None)

    def image(self, labels, seed, *parameters):
        """Returns the image of one row of a request."""
        key = [int(x) for x in (*labels, seed, *(1000 * x for x in parameters))]
        return random_image(self.model_info.image_shape, self.model_info.dtype, key)
