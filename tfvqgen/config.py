"""Configuration: frozen dataclasses, strict overrides and a JSON round trip.

A :class:`Config` has one section for each stage of training. Every key has its meaning
and its limits in its metadata; ``train.py --help`` prints the meanings.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Self

from tfvqgen.errors import UserError
from tfvqgen.presets import PRESETS
from tfvqgen.validation import check, did_you_mean, key, parse_override, read, require

FURTHER_LOSSES = ("laplacian", "frequency")
# The smallest side of an image that has Laplacian bands.
SMALLEST_BANDED_SIDE = 8

# Keys of version 0.1, with their present names.
FORMER_KEYS = {
    "codebook_rule": "codebook_update",
    "revive_below": "dead_code_threshold",
    "grain_weight": "texture_noise_weight",
}

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker")

# The largest seed that every random number generator accepts.
MAX_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class StageConfig:
    """The keys that all stages of training have."""

    steps: int = key(100_000, "number of training steps", low=1, free=True)
    batch_size: int = key(
        128, "examples in a step, over all replicas", low=1, high=1_000_000
    )
    learning_rate: float = key(1e-3, "peak learning rate of Adam", low=0)
    warmup_steps: int = key(100, "steps of linear increase to the peak", low=0)
    decay_steps: int = key(
        0, "step at which the cosine decay ends; 0: `steps` of the first run", low=0
    )
    final_learning_rate: float = key(
        0.05, "final learning rate, as a fraction of the peak", low=0, high=1
    )
    beta_1: float = key(0.9, "decay of Adam's first moment", low=0, below=1)
    clip_norm: float = key(
        1.0, "largest global norm of the gradient; 0 disables clipping", low=0
    )
    precision: str = key(
        "float32", "data type of the computations", choices=("float32", "bfloat16")
    )
    cache: bool = key(False, "keep the decoded training data in memory", free=True)
    log_every: int = key(50, "steps between logged training metrics", low=1, free=True)
    validate_every: int = key(1000, "steps between validations", low=1, free=True)
    validation_examples: int = key(
        10_000,
        "largest number of validation examples, rounded up to batches",
        low=1,
        free=True,
    )
    checkpoint_every: int = key(500, "steps between checkpoints", low=1, free=True)
    keep_checkpoints: int = key(2, "number of checkpoints to keep", low=1, free=True)

    def __post_init__(self):
        check(self)
        fits = not self.decay_steps or self.decay_steps > self.warmup_steps
        expected = f"0 or more than warmup_steps={self.warmup_steps}"
        require(fits, "decay_steps", expected, self.decay_steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardStageConfig(StageConfig):
    """The keys of a stage that is trained on shards."""

    label_balance: float = key(
        0.0, "0: sample crops equally often; 1: labels equally often", low=0, high=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VQVAEConfig(ShardStageConfig):
    """The hierarchical autoencoder (VQ-VAE-2, Razavi et al. 2019)."""

    learning_rate: float = key(3e-3, "peak learning rate of Adam", low=0)
    warmup_steps: int = key(50, "steps of linear increase to the peak", low=0)
    image_shape: tuple[int, int, int] = key(
        (128, 128, 4), "height, width and channels of the images", low=1
    )
    protein_channel: int = key(
        -1, "index of the protein channel, shown green; -1: none", low=-1, derived=True
    )
    protein_weight: float = key(
        1.0, "loss weight of the protein channel relative to the others", low=0
    )
    laplacian_weight: float = key(
        0.0, "loss weight of the error of three Laplacian bands; 0 disables it", low=0
    )
    frequency_weight: float = key(
        0.0, "loss weight of the focal frequency loss; 0 disables it", low=0
    )
    texture_noise_weight: float = key(
        1.0, "loss weight that trains the texture noise; 0 disables the noise", low=0
    )
    adversarial_weight: float = key(
        0.0,
        "adversarial loss weight relative to the gradient norm; 0: no critic",
        low=0,
    )
    adversarial_after: int = key(
        2000, "steps before the adversarial loss starts", low=0, high=1_000_000_000
    )
    adversarial_ramp: int = key(
        1000,
        "steps in which the adversarial loss increases linearly; the critic starts "
        "this many steps earlier",
        low=1,
    )
    critic_width: int = key(32, "filters of the critic's first convolution", low=1)
    critic_learning_rate: float = key(5e-4, "learning rate of the critic", low=0)
    augment: bool = key(True, "apply a random symmetry of the square to each image")
    hidden: int = key(128, "filters of the convolutions", low=2)
    residual_layers: int = key(2, "residual layers of each stack", low=0)
    residual_width: int = key(64, "filters inside a residual layer", low=1)
    bottom_stride: int = key(
        4, "pixels per bottom code along a side; top: twice as many", choices=(2, 4, 8)
    )
    num_embeddings: int = key(
        512, "number of embeddings in each codebook (K)", low=2, high=65_536
    )
    embedding_dim: int = key(64, "length of an embedding (D)", low=1)
    codebook_update: str = key(
        "ema",
        "update of the codebook: exponential moving averages or gradient",
        choices=("ema", "gradient"),
    )
    commitment_cost: float = key(0.25, "weight of the commitment loss (beta)", low=0)
    decay: float = key(
        0.95, "decay of the codebook's exponential moving averages", low=0, below=1
    )
    epsilon: float = key(1e-5, "Laplace smoothing of the code counts", low=0)
    dead_code_threshold: float = key(
        0.01,
        "share of uniform use below which a code is re-initialized; 0 disables it",
        low=0,
        high=1,
    )
    quantize_after: int = key(
        50, "steps without quantization; then the codebooks are initialized", low=0
    )
    bottom_dropout: float = key(
        0.1, "share of training images decoded without the bottom level", low=0, high=1
    )

    def __post_init__(self):
        super().__post_init__()
        *sides, channels = self.image_shape
        stride = 2 * self.bottom_stride
        fits = all(side % stride == 0 for side in sides)
        expected = f"height and width in multiples of {stride}"
        require(fits, "image_shape", expected, self.image_shape)
        require(channels <= 8, "image_shape", "1 to 8 channels", self.image_shape)
        banded = self.laplacian_weight or self.texture_noise_weight
        fits = not banded or min(sides) >= SMALLEST_BANDED_SIDE
        expected = f"sides of at least {SMALLEST_BANDED_SIDE} for Laplacian bands"
        require(fits, "image_shape", expected, self.image_shape)
        fits = self.protein_channel < channels
        require(fits, "protein_channel", f"below {channels}", self.protein_channel)

    @property
    def channel_weights(self) -> tuple[float, ...]:
        """The loss weight of each channel; the mean is 1."""
        channels = self.image_shape[-1]
        weights = [1.0] * channels
        if self.protein_channel >= 0:
            weights[self.protein_channel] = self.protein_weight
        # The sum is 0 if the only channel is a protein of weight 0.
        total = sum(weights) or 1.0
        return tuple(channels * weight / total for weight in weights)

    @property
    def further_loss_weights(self) -> dict[str, float]:
        """Weights above 0 of the losses that are added to the squared error."""
        weights = {name: getattr(self, f"{name}_weight") for name in FURTHER_LOSSES}
        return {name: weight for name, weight in weights.items() if weight}

    @property
    def bottom_shape(self) -> tuple[int, int]:
        """Height and width of the bottom code map."""
        height, width, _ = self.image_shape
        return height // self.bottom_stride, width // self.bottom_stride

    @property
    def top_shape(self) -> tuple[int, int]:
        """Height and width of the top code map."""
        height, width = self.bottom_shape
        return height // 2, width // 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class PriorConfig(ShardStageConfig):
    """An autoregressive prior over one level's codes (PixelSNAIL, Chen et al. 2017)."""

    code_shape: tuple[int, int] = key(
        (16, 16), "height and width of the code map", low=1, derived=True
    )
    num_embeddings: int = key(
        512, "number of embeddings in each codebook (K)", low=2, derived=True
    )
    num_labels: int = key(0, "number of labels in the vocabulary", low=0, derived=True)
    condition_shape: tuple[int, int] = key(
        (0, 0), "height and width of the condition; 0,0: none", low=0, derived=True
    )
    width: int = key(128, "filters of the features", low=1)
    blocks: int = key(4, "number of blocks", low=1)
    layers: int = key(2, "gated residual layers in each block", low=1)
    residual_width: int = key(64, "filters inside a residual layer", low=1)
    kernel: int = key(5, "side of the causal kernels", choices=(3, 5, 7, 9))
    attention: bool = key(True, "end each block with causal attention")
    heads: int = key(8, "number of attention heads", low=1)
    key_dim: int = key(8, "length of the keys and queries of a head", low=1)
    value_dim: int = key(8, "length of the values of a head", low=1)
    output_layers: int = key(1, "gated layers before the logits", low=0)
    condition_layers: int = key(3, "residual layers for the condition", low=0, high=100)
    dropout: float = key(0.1, "dropout rate of the gated layers", low=0, high=0.9)
    label_dropout: float = key(
        0.1, "share of training examples without their labels", low=0, high=1
    )
    polyak: float = key(
        0.999, "decay of the averaged weights, which are used later", low=0, below=1
    )
    accumulation: int = key(
        1, "number of parts of a replica's batch, which saves memory", low=1
    )
    patience: int = key(
        0, "validations without improvement to stop after; 0: none", low=0, free=True
    )

    def __post_init__(self):
        super().__post_init__()
        half = tuple(side / 2 for side in self.code_shape)
        fits = not self.conditioned or self.condition_shape == half
        expected = f"half of code_shape={self.code_shape}"
        require(fits, "condition_shape", expected, self.condition_shape)

    @property
    def conditioned(self) -> bool:
        """Whether the prior is conditioned on the codes of the level above."""
        return any(self.condition_shape)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodesConfig:
    """How images are encoded as the codes that the priors are trained on."""

    symmetries: int = key(
        1, "number of symmetries in which each image is encoded", choices=(1, 8)
    )

    def __post_init__(self):
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The configuration of a workdir."""

    preset: str = "hpa128"
    seed: int = key(0, low=0, high=MAX_SEED)
    vqvae: VQVAEConfig = VQVAEConfig()
    codes: CodesConfig = CodesConfig()
    top: PriorConfig = PriorConfig()
    bottom: PriorConfig = PriorConfig(
        code_shape=(32, 32), condition_shape=(16, 16), attention=False
    )

    def __post_init__(self):
        check(self)

    @classmethod
    def from_preset(cls, name: str) -> Self:
        """Returns a shipped configuration.

        Raises:
            UserError: There is no such preset.
        """
        if not isinstance(name, str) or name not in PRESETS:
            raise UserError(
                f"unknown preset: expected one of {', '.join(PRESETS)}. "
                f"Received: {name!r}{did_you_mean(str(name), PRESETS)}"
            )
        return cls(preset=name).with_overrides(PRESETS[name])

    def with_overrides(self, overrides: Iterable[str]) -> Self:
        """Returns a copy with ``section.key=value`` strings applied; the last counts.

        Derived keys are updated.

        Raises:
            UserError: A key does not exist or is derived, or a value has a wrong type
                or limit.
        """
        sections = {name: getattr(self, name) for name in _SECTIONS}
        changes: dict[str, dict[str, Any]] = {name: {} for name in sections}
        for override in overrides:
            name, equals, text = override.partition("=")
            section, dot, key_name = name.strip().partition(".")
            if not equals or not dot:
                raise UserError(
                    "cannot read an override: expected section.key=value. "
                    f"Received: {override!r}"
                )
            if section not in sections:
                raise UserError(
                    f"unknown section: expected one of {', '.join(sections)}. "
                    f"Received: {override!r}{did_you_mean(section, sections)}"
                )
            changes[section][key_name] = parse_override(
                sections[section], key_name, text.strip(), f"{section}."
            )
        for name, section in sections.items():
            sections[name] = dataclasses.replace(section, **changes[name])
        return dataclasses.replace(self, **sections).settled()

    def settled(self, num_labels: int | None = None) -> Self:
        """Returns a copy whose priors fit the autoencoder and the data.

        `num_labels` is that of the data; None keeps the present number.
        """
        derived: dict[str, Any] = {"num_embeddings": self.vqvae.num_embeddings}
        if num_labels is not None:
            derived["num_labels"] = num_labels
        top, bottom = self.vqvae.top_shape, self.vqvae.bottom_shape
        return dataclasses.replace(
            self,
            top=dataclasses.replace(self.top, code_shape=top, **derived),
            bottom=dataclasses.replace(
                self.bottom, code_shape=bottom, condition_shape=top, **derived
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that :meth:`from_json` reads back exactly."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Reads the values that :meth:`to_json` returned.

        Keys that an older version did not have get the preset's values.

        Raises:
            UserError: A key is unknown, or its value has a wrong type or limit.
        """
        require(isinstance(values, Mapping), "configuration", "an object", values)
        merged = cls.from_preset(values.get("preset")).to_json()
        for name, value in values.items():
            if name in _SECTIONS and isinstance(value, Mapping):
                renamed = {FORMER_KEYS.get(k, k): v for k, v in value.items()}
                value = {**merged[name], **renamed}
            merged[name] = value
        return read(cls, merged, strict=True)


_SECTIONS = ("vqvae", "codes", "top", "bottom")
