"""A tiny generator of untrained models for tests."""

import functools

import keras

from tests.priors import make_prior
from tests.support import CHANNELS
from tfvqgen.config import VQVAEConfig
from tfvqgen.data.dataset_info import DatasetInfo, default_display
from tfvqgen.generation.generator import Generator, describe
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
