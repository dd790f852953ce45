"""The autoencoder and both priors of a model: samples, completes and scores cells."""

# Shapes: B cells of H x W pixels and C channels; h x w top codes, 2h x 2w bottom codes;
# L labels.

import os

import tensorflow as tf

from tfvqgen.data.dataset_info import DatasetInfo
from tfvqgen.data.schema import from_unit, to_unit
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import Cells
from tfvqgen.losses import nats_per_code, to_bits
from tfvqgen.models import VQVAE2, Codes, PixelSNAIL
from tfvqgen.sampling import ancestral_sample
from tfvqgen.training.trained_models import fingerprint, load_autoencoder, load_prior
from tfvqgen.training.workdir import Workdir

# The seeds of the bottom codes differ from those of the top codes in these bits. With
# the same noise, the codes of both levels would be correlated.
BOTTOM_SEED_BITS = 0x5851_F42D_4C95_7F2D


class Generator:
    """Samples, reconstructs, completes and scores cells with built models.

    All methods accept batches of any size, within graphs and outside of them. The
    result for a row depends on that row only.
    """

    def __init__(
        self,
        model_info: ModelInfo,
        autoencoder: VQVAE2,
        top: PixelSNAIL,
        bottom: PixelSNAIL,
    ):
        self.model_info = model_info
        self.autoencoder = autoencoder
        self.top = top
        self.bottom = bottom
        rows = [tf.TensorSpec([None], x) for x in (tf.int64, *[tf.float32] * 3)]
        labels = tf.TensorSpec([None, len(model_info.labels)], tf.float32)
        self.generate = tf.function(
            self._generate, input_signature=[labels, *rows], autograph=False
        )
        options = {"autograph": False, "reduce_retracing": True}
        self.complete = tf.function(self._complete, **options)
        self.reconstruct = tf.function(self._reconstruct, **options)

    @classmethod
    def of_workdir(cls, path: str | os.PathLike) -> "Generator":
        """Loads the models of a workdir, the priors with their averaged weights.

        Raises:
            UserError: A stage is not trained.
            DataError: A file of the workdir is missing or damaged.
        """
        workdir = Workdir(path)
        autoencoder, vqvae_step = load_autoencoder(workdir)
        weights = fingerprint(autoencoder)
        top, top_step = load_prior(workdir, "top", weights)
        bottom, bottom_step = load_prior(workdir, "bottom", weights)
        preset = workdir.load_config().preset
        steps = {"vqvae": vqvae_step, "top": top_step, "bottom": bottom_step}
        models = (autoencoder, top, bottom)
        info = describe(preset, workdir.load_dataset_info(), *models, steps)
        return cls(info, *models)

    def _generate(self, labels, seeds, temperature, top_p, guidance) -> Cells:
        """Samples cells; see :class:`~tfvqgen.generation.request.Source`.

        Raises:
            tf.errors.InvalidArgumentError: A value is out of range.
        """
        codes = self.sample_codes(labels, seeds, temperature, top_p, guidance)
        return Cells(self.decode(codes), *codes)

    def sample_codes(
        self, labels, seeds, temperature, top_p, guidance, given=None, keep=None
    ) -> Codes:
        """Samples the top codes and then the bottom codes.

        The arguments are those of :meth:`~tfvqgen.generation.request.Source.generate`.
        The codes of `given` are kept where `keep`, bool :class:`Codes`, is True.
        """
        given, keep = given or Codes(None, None), keep or Codes(None, None)
        own_seeds = tf.bitwise.bitwise_xor(
            seeds, tf.constant(BOTTOM_SEED_BITS, tf.int64)
        )
        sampling = (temperature, top_p, guidance)
        top = ancestral_sample(
            self.top, seeds, labels, None, *sampling, given.top, keep.top
        )
        bottom = ancestral_sample(
            self.bottom, own_seeds, labels, top, *sampling, given.bottom, keep.bottom
        )
        return Codes(top, bottom)

    def _complete(
        self, image, mask, labels, seeds, temperature, top_p, guidance
    ) -> Cells:
        """Keeps a part of each image and samples the rest.

        Pixels outside the mask are set to black before the image is encoded. A code is
        kept if all pixels of its patch are kept. The result is decoded from all codes:
        kept pixels are not pasted back. `image` is uint8 or uint16 [B, H, W, C]; `mask`
        is float32 [B, H, W], 1 where pixels are kept; the others are as in
        :meth:`sample_codes`.
        """
        given, keep = self.encode(self.visible(image, mask)), self.kept(mask)
        codes = self.sample_codes(
            labels, seeds, temperature, top_p, guidance, given, keep
        )
        return Cells(self.decode(codes), *codes)

    def visible(self, image, mask):
        """Returns images with black pixels outside the mask; see :attr:`complete`."""
        return tf.where(mask[..., None] == 1, image, tf.zeros_like(image))

    def kept(self, mask) -> Codes:
        """Returns which codes of a masked image are kept, bool :class:`Codes`."""

        def whole_patches(shape):
            rows, columns = mask.shape[1] // shape[0], mask.shape[2] // shape[1]
            patches = tf.reshape(mask == 1, [-1, shape[0], rows, shape[1], columns])
            return tf.reduce_all(patches, axis=[2, 4])

        shapes = (self.model_info.top_shape, self.model_info.bottom_shape)
        return Codes(*map(whole_patches, shapes))

    def encode(self, image) -> Codes:
        """Returns the codes of images, uint8 or uint16 [B, H, W, C]."""
        return self.autoencoder.encode(to_unit(image))

    def decode(self, codes: Codes):
        """Returns the images of codes, uint8 or uint16 [B, H, W, C]."""
        return from_unit(self.autoencoder.decode(codes), self.model_info.dtype)

    def _reconstruct(self, image):
        """Encodes and decodes images, uint8 or uint16 [B, H, W, C]."""
        return self.decode(self.encode(image))

    def score(self, image, labels):
        """Returns the bits per code of images under both priors, float32 [B] each.

        Images are uint8 or uint16 [B, H, W, C]; labels are multi-hot, float32 [B, L].
        """
        return self.score_codes(self.encode(image), labels)

    def score_codes(self, codes: Codes, labels):
        """Returns the bits per code under the priors; see :meth:`score`."""
        top = self.top.logits(codes.top, labels)
        bottom = self.bottom.logits(codes.bottom, labels, condition=codes.top)
        return (
            to_bits(nats_per_code(top, codes.top)),
            to_bits(nats_per_code(bottom, codes.bottom)),
        )


def describe(
    preset: str,
    dataset: DatasetInfo,
    autoencoder: VQVAE2,
    top: PixelSNAIL,
    bottom: PixelSNAIL,
    steps: dict[str, int],
) -> ModelInfo:
    """Returns the description of trained models."""
    of_data = ("labels", "channels", "display", "dtype", "pixel_size", "credit")
    of_codes = ("image_shape", "top_shape", "bottom_shape", "num_embeddings")
    models = {"vqvae": autoencoder, "top": top, "bottom": bottom}
    prints = {stage: fingerprint(model) for stage, model in models.items()}
    return ModelInfo(
        preset=preset,
        **{name: getattr(dataset, name) for name in of_data},
        **{name: getattr(autoencoder.config, name) for name in of_codes},
        steps=steps,
        fingerprints={"dataset": dataset.fingerprint(), **prints},
    )
