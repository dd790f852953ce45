import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvqgen import Config
from tfvqgen.config import FORMER_KEYS, VQVAEConfig
from tfvqgen.errors import UserError
from tfvqgen.presets import PRESETS
from tfvqgen.validation import describe, frozen_differences


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_survives_json(preset):
    config = Config.from_preset(preset)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_the_posters_sizes_are_those_of_hpa128():
    config = Config.from_preset("hpa128").vqvae
    assert config.top_shape == (16, 16) and config.bottom_shape == (32, 32)
    assert (config.hidden, config.residual_layers, config.residual_width) == (
        128,
        2,
        64,
    )
    assert (config.num_embeddings, config.embedding_dim) == (512, 64)
    assert config.commitment_cost == 0.25
    future = Config.from_preset("hpa256").vqvae
    assert future.top_shape == (32, 32) and future.bottom_shape == (64, 64)


def test_overrides_read_every_type():
    config = Config.from_preset("demo").with_overrides(
        [
            "vqvae.steps=10",
            "vqvae.learning_rate=2e-4",
            "vqvae.augment=false",
            "vqvae.codebook_update=gradient",
            "vqvae.image_shape=32,48,2",
        ]
    )
    assert config.vqvae.steps == 10
    assert config.vqvae.learning_rate == 2e-4
    assert config.vqvae.augment is False
    assert config.vqvae.codebook_update == "gradient"
    assert config.vqvae.image_shape == (32, 48, 2)


def test_the_order_of_overrides_that_only_fit_together_does_not_matter():
    overrides = ["vqvae.image_shape=12,12,1", "vqvae.bottom_stride=2"]
    config = Config.from_preset("hpa128")
    assert config.with_overrides(overrides) == config.with_overrides(overrides[::-1])


@pytest.mark.parametrize(
    "override,message",
    [
        ("vqvae.hiden=3", "did you mean 'hidden'"),
        ("vqae.hidden=3", "did you mean 'vqvae'"),
        ("hidden=3", "expected section.key=value"),
        ("vqvae.hidden=a", "expected an integer"),
        ("vqvae.steps=0", "an integer, at least 1"),
        ("vqvae.decay=1.0", "at least 0 and below 1"),
        ("vqvae.bottom_dropout=1.5", "at most 1"),
        ("vqvae.augment=perhaps", "expected true or false"),
        ("vqvae.codebook_update=magic", "expected one of ema, gradient"),
        ("vqvae.image_shape=64,64", "expected 3 integers"),
        ("vqvae.image_shape=60,64,4", "multiples of 8"),
        ("vqvae.image_shape=64,64,9", "expected 1 to 8"),
        ("vqvae.decay_steps=10", "more than warmup_steps"),
        ("preset.name=x", "unknown section"),
    ],
)
def test_a_wrong_override_is_refused(override, message):
    with pytest.raises(UserError, match=message):
        Config.from_preset("hpa128").with_overrides([override])


@pytest.mark.parametrize("term", ["laplacian", "texture_noise"])
def test_images_too_small_for_laplacian_bands_are_refused(term):
    small = [f"vqvae.{x}" for x in ("image_shape=4,16,1", "bottom_stride=2")]
    small.append("vqvae.texture_noise_weight=0")
    Config.from_preset("hpa128").with_overrides(small)
    with pytest.raises(UserError, match="for Laplacian bands"):
        Config.from_preset("hpa128").with_overrides([*small, f"vqvae.{term}_weight=1"])


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"demo, hpa128, hpa256.*did you mean 'hpa128'"):
        Config.from_preset("hpa12")


@pytest.mark.parametrize(
    "value", [None, [], "demo", {}, {"preset": 1}, {"preset": "demo", "other": 1}]
)
def test_other_json_is_refused(value):
    with pytest.raises(UserError, match="expected"):
        Config.from_json(value)


@settings(max_examples=30)
@given(
    key=st.sampled_from([f.name for f in dataclasses.fields(VQVAEConfig)]),
    value=st.none() | st.text() | st.booleans() | st.lists(st.floats()),
)
def test_a_damaged_value_in_json_is_refused_or_valid(key, value):
    stored = Config().to_json()
    stored["vqvae"][key] = value
    try:
        config = Config.from_json(stored)
    except UserError:
        return
    assert Config.from_json(config.to_json()) == config


def test_keys_of_older_versions_are_read():
    stored = Config.from_preset("demo").to_json()
    del stored["vqvae"]["bottom_dropout"]
    for old, new in FORMER_KEYS.items():
        stored["vqvae"][old] = stored["vqvae"].pop(new)
    assert Config.from_json(stored) == Config.from_preset("demo")


def test_frozen_keys_are_told_from_free_ones():
    old = VQVAEConfig()
    new = dataclasses.replace(old, steps=5, cache=True, hidden=64, decay=0.9)
    assert frozen_differences(old, new) == ["hidden: 128 -> 64", "decay: 0.95 -> 0.9"]


def test_every_key_is_described():
    text = describe(VQVAEConfig)
    for field in dataclasses.fields(VQVAEConfig):
        line = f"  {field.name}={field.default}: {field.metadata['text']}"
        assert (line in text) != field.metadata["derived"]
