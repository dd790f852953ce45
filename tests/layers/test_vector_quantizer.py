import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvqgen.layers import (
    CausalAttention,
    CausalConv2D,
    ConditionStack,
    GatedCausalUnit,
    VectorQuantizer,
)
from tfvqgen.layers.vector_quantizer import (
    codebook_perplexity,
    nearest_codes,
)


def latents_of(seed=0, batch=2, height=4, width=6, dim=3, scale=1.0):
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(batch, height, width, dim))).astype(np.float32)


def built(num_embeddings=5, dim=3, **kwargs):
    quantizer = VectorQuantizer(num_embeddings, dim, **kwargs)
    quantizer.build((None, None, None, dim))
    return quantizer


class NumpyCodebook:
    """VQ-VAE, appendix A.1, in float64."""

    def __init__(self, quantizer):
        self.embeddings = quantizer.embeddings.numpy().astype(np.float64)
        self.counts = quantizer.ema_counts.numpy().astype(np.float64)
        self.sums = quantizer.ema_sums.numpy().astype(np.float64)

    def codes(self, flat):
        distances = ((flat[:, None] - self.embeddings[None]) ** 2).sum(-1)
        return distances.argmin(1)

    def step(self, latents, decay, epsilon):
        flat = latents.reshape(-1, latents.shape[-1]).astype(np.float64)
        one_hot = np.eye(len(self.counts))[self.codes(flat)]
        self.counts = decay * self.counts + (1 - decay) * one_hot.sum(0)
        self.sums = decay * self.sums + (1 - decay) * one_hot.T @ flat
        total = self.counts.sum()
        smoothed = (self.counts + epsilon) / (total + len(self.counts) * epsilon)
        self.embeddings = self.sums / (smoothed * total)[:, None]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_embeddings=st.integers(2, 40),
    dim=st.integers(1, 9),
    scale=st.floats(0.01, 100),
)
def test_codes_are_the_nearest_embeddings(seed, num_embeddings, dim, scale):
    rng = np.random.default_rng(seed)
    flat = (scale * rng.normal(size=(50, dim))).astype(np.float32)
    embeddings = (scale * rng.normal(size=(num_embeddings, dim))).astype(np.float32)
    codes = nearest_codes(tf.constant(flat), tf.constant(embeddings)).numpy()
    distances = ((flat[:, None] - embeddings[None]).astype(np.float64) ** 2).sum(-1)
    chosen = distances[np.arange(50), codes]
    # Equal up to float32 rounding of the scores, which have the size of the norms.
    assert np.all(chosen <= distances.min(1) + 1e-5 * scale**2 * dim)


def test_ema_steps_equal_the_numpy_oracle():
    settings_ = {"decay": 0.9, "epsilon": 1e-3}
    quantizer = built(dead_code_threshold=0.0, **settings_)
    # The first step sets the embeddings to latents.
    quantizer(latents_of(9), training=True)
    oracle = NumpyCodebook(quantizer)
    for seed in range(5):
        latents = latents_of(seed)
        expected = oracle.codes(latents.reshape(-1, 3).astype(np.float64))
        out = quantizer(latents, training=True)
        np.testing.assert_array_equal(out.codes.numpy().ravel(), expected)
        oracle.step(latents, **settings_)
        np.testing.assert_allclose(
            quantizer.embeddings.numpy(), oracle.embeddings, rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            quantizer.ema_counts.numpy(), oracle.counts, rtol=1e-5
        )


def test_inference_does_not_change_the_codebook():
    quantizer = built()
    before = [v.numpy().copy() for v in quantizer.variables]
    quantizer(latents_of(), training=False)
    for old, new in zip(before, quantizer.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.parametrize("rule", ["ema", "gradient"])
def test_losses_are_those_of_the_paper(rule):
    quantizer = built(commitment_cost=0.5, codebook_update=rule)
    latents = latents_of()
    out = quantizer(latents)
    embedded = quantizer.embeddings.numpy()[out.codes.numpy()]
    squared_error = np.mean((latents - embedded) ** 2)
    np.testing.assert_allclose(out.commitment_loss, 0.5 * squared_error, rtol=1e-5)
    expected = squared_error if rule == "gradient" else 0.0
    np.testing.assert_allclose(out.codebook_loss, expected, rtol=1e-5)


def test_the_gradient_passes_straight_through_and_commitment_pulls_the_encoder():
    quantizer = built(commitment_cost=0.5)
    latents = tf.constant(latents_of())
    upstream = tf.constant(latents_of(seed=1))
    with tf.GradientTape() as tape:
        tape.watch(latents)
        out = quantizer(latents)
        loss = tf.reduce_sum(out.quantized * upstream) + out.commitment_loss
    embedded = quantizer.embeddings.numpy()[out.codes.numpy()]
    pull = 0.5 * 2 * (latents.numpy() - embedded) / latents.numpy().size
    np.testing.assert_allclose(
        tape.gradient(loss, latents).numpy(),
        upstream.numpy() + pull,
        rtol=1e-4,
        atol=1e-6,
    )


def test_the_codebook_gradient_pulls_embeddings_to_their_latents():
    quantizer = built(codebook_update="gradient")
    latents = latents_of()
    with tf.GradientTape() as tape:
        out = quantizer(latents)
        loss = tf.reduce_sum(out.quantized) + out.codebook_loss + out.commitment_loss
    gradient = tf.convert_to_tensor(tape.gradient(loss, quantizer.embeddings.value))
    flat, codes = latents.reshape(-1, 3), out.codes.numpy().ravel()
    for code, embedding in enumerate(quantizer.embeddings.numpy()):
        expected = 2 * (embedding - flat[codes == code]).sum(0) / latents.size
        np.testing.assert_allclose(gradient[code], expected, atol=1e-6)


def test_the_codebook_starts_as_latents_of_the_first_quantized_batch():
    quantizer = built(num_embeddings=8, quantize_after=2)
    for seed in range(2):
        latents = latents_of(seed)
        out = quantizer(latents, training=True)
        np.testing.assert_array_equal(out.quantized.numpy(), latents)
        assert float(out.commitment_loss) == 0
    latents = latents_of(seed=7)
    out = quantizer(latents, training=True)
    rows = {tuple(row) for row in latents.reshape(-1, 3)}
    used = {tuple(row) for row in out.quantized.numpy().reshape(-1, 3)}
    near = [min(np.abs(np.subtract(u, r)).max() for r in rows) for u in used]
    assert max(near) < 1e-6
    assert float(out.codebook_perplexity) > 4


def test_initial_embeddings_are_different_latents_spread_over_the_batch():
    latents = np.arange(64, dtype=np.float32).reshape(4, 4, 4, 1)
    quantizer = built(num_embeddings=16, dim=1)
    with tf.GradientTape() as tape:  # the choice of latents must work under a tape
        out = quantizer(latents, training=True)
    del tape
    codes = out.codes.numpy().ravel()
    assert len(np.unique(codes)) == 16
    quarter = [len(np.unique(codes[i : i + 16])) for i in range(0, 64, 16)]
    assert min(quarter) >= 4


@pytest.mark.parametrize("rule", ["ema", "gradient"])
def test_dead_codes_restart_from_the_batch_with_their_averages(rule):
    quantizer = built(num_embeddings=4, dim=2, codebook_update=rule, decay=0.5)
    far = np.full((1, 4, 4, 2), 5.0, np.float32)
    far += np.random.default_rng(0).normal(size=far.shape).astype(np.float32)
    quantizer(far, training=True)
    quantizer.embeddings.assign([[5, 5], [900, 900], [901, 901], [902, 902]])
    quantizer.ema_counts.assign([16, 0.01, 0.01, 0.01])
    out = quantizer(far, training=True)
    assert np.abs(quantizer.embeddings.numpy()).max() < 20
    assert len(np.unique(out.codes)) > 1
    if rule == "ema":
        moved = quantizer.ema_sums.numpy() / quantizer.ema_counts.numpy()[:, None]
        assert np.abs(moved).max() < 20


def test_used_codes_are_not_restarted():
    quantizer = built(num_embeddings=3, dim=1, codebook_update="gradient")
    quantizer(latents_of(dim=1), training=True)
    quantizer.embeddings.assign([[1.0], [2.0], [77.0]])
    quantizer.ema_counts.assign([5.0, 5.0, 0.0])
    quantizer(latents_of(dim=1), training=True)
    np.testing.assert_array_equal(quantizer.embeddings.numpy()[:2], [[1.0], [2.0]])
    assert quantizer.embeddings.numpy()[2, 0] != 77.0


def test_a_threshold_of_zero_never_restarts_a_code():
    quantizer = built(num_embeddings=2, dim=1, dead_code_threshold=0.0)
    quantizer(latents_of(dim=1), training=True)
    quantizer.embeddings.assign([[0.0], [1e6]])
    quantizer.ema_sums.assign([[0.0], [1e6]])
    quantizer.ema_counts.assign([1.0, 1.0])
    for seed in range(3):
        out = quantizer(latents_of(seed, dim=1), training=True)
        assert np.all(out.codes.numpy() == 0)


def test_distances_and_averages_are_float32_under_half_precision():
    quantizer = built(dtype="mixed_bfloat16")
    # In half precision the first two have equal scores, and the first would be chosen.
    quantizer.embeddings.assign([[1.003, 0, 0], [1.0, 0, 0]] + [[9, 9, 9]] * 3)
    half = tf.ones([1, 1, 1, 3], quantizer.compute_dtype) * [[[[1, 0, 0]]]]
    out = quantizer(half)
    assert out.quantized.dtype == half.dtype
    assert out.commitment_loss.dtype == tf.float32
    assert all(v.dtype in ("float32", "int64") for v in quantizer.variables)
    assert out.codes.numpy()[0, 0, 0] == 1
    np.testing.assert_allclose(np.float32(out.quantized), np.float32(half), atol=0.02)


def test_codebook_perplexity_is_one_for_one_code_and_k_for_uniform_use():
    np.testing.assert_allclose(codebook_perplexity(tf.constant([7.0, 0, 0])), 1)
    np.testing.assert_allclose(codebook_perplexity(tf.ones(6)), 6, rtol=1e-6)


def test_the_mean_embedding_is_weighted_by_the_counts():
    quantizer = built(num_embeddings=2, dim=1)
    quantizer.embeddings.assign([[0.0], [4.0]])
    quantizer.ema_counts.assign([3.0, 1.0])
    np.testing.assert_allclose(quantizer.mean_embedding(), [1.0])


@pytest.mark.parametrize(
    "layer",
    [
        VectorQuantizer(7, 3, 0.4, "gradient", dead_code_threshold=0.2, seed=5),
        CausalConv2D(3, 5, centre=True, gain=0.5),
        CausalAttention(2, 3, value_dim=4),
        GatedCausalUnit(3, 5, 0.1, gain=0.5),
        ConditionStack(11, 8, 1, residual_width=4),
    ],
    ids=lambda layer: layer.name,
)
def test_the_configuration_makes_the_same_layer_again(layer):
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    for name, value in vars(layer).items():
        if isinstance(value, int | float | str) and not name.startswith("_"):
            assert getattr(again, name) == value
