import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests.priors import CODES, make_prior, prior_config, random_inputs
from tfvqgen.sampling import ancestral, ancestral_sample, ancestral_sample_reference
from tfvqgen.sampling.code_sampler import CodeSampler, keep_top, row_noise
from tfvqgen.sampling.incremental_pixelsnail import (
    IncrementalPixelSNAIL,
    memory_per_map,
)

SEEDS = np.array([3, -1, 2**62, 3, 0])
PARAMETERS = {
    "temperature": np.array([0.5, 1.0, 1.5, 0.5, 2.0]),
    "top_p": np.array([1.0, 0.5, 0.9, 1.0, 0.7]),
    "guidance": np.array([0.0, 1.0, 2.0, 0.0, 0.5]),
}
KINDS = {
    "attention": {},
    "no attention": {"attention": False},
    "condition": {"condition_shape": (2, 3), "code_shape": (4, 6)},
    "small kernel": {"kernel": 3, "layers": 1, "output_layers": 0},
    "one row": {"code_shape": (1, 9)},
    "one column": {"code_shape": (9, 1), "kernel": 7},
}


def inputs_of(prior, batch=5):
    inputs = random_inputs(prior, batch)
    return {"labels": inputs["labels"], "condition": inputs["condition"]}


def incremental_logits(prior, codes, labels, condition):
    """Returns the logits that a sampler gets if it samples the given codes."""
    height, width = prior.code_shape
    incremental = IncrementalPixelSNAIL(prior, tf.shape(codes)[0], labels, condition)
    history = incremental.before_first_row()
    logits = []
    for i in range(height):
        ready, state = incremental.start_row(history, tf.constant(i))
        places = incremental.look_up(ready, tf.constant(0), width)
        for j, place in enumerate(places):
            found, draft = incremental.step(place, state)
            logits.append(found)
            state = incremental.accept(place, state, draft, codes[:, i, j])
        history = incremental.end_row(history, state, codes[:, i])
    return tf.reshape(tf.stack(logits, axis=1), [-1, height, width, CODES])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_incremental_logits_equal_those_of_a_full_pass_at_every_position(kind):
    prior = make_prior(**kind)
    inputs = random_inputs(prior, 3)
    full = prior.logits(**inputs).numpy()
    incremental = incremental_logits(prior, *inputs.values()).numpy()
    assert full.std() > 0.3
    np.testing.assert_allclose(incremental, full, rtol=0, atol=1e-4 * full.std())


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ({"code_shape": (3, 5), "layers": 2}, PARAMETERS),
        (
            {"code_shape": (4, 4), "condition_shape": (2, 2), "attention": False},
            PARAMETERS,
        ),
        ({"code_shape": (1, 6), "kernel": 3, "blocks": 1}, {}),
        ({"code_shape": (7, 1), "layers": 1, "output_layers": 0}, {"temperature": 0.8}),
    ],
    ids=["odd sides", "condition", "one row", "one column"],
)
def test_the_cached_sampler_samples_the_codes_of_the_reference(kind, parameters):
    prior = make_prior(**kind)
    inputs = inputs_of(prior)
    cached = ancestral_sample(prior, SEEDS, **inputs, **parameters)
    reference = ancestral_sample_reference(prior, SEEDS, **inputs, **parameters)
    assert cached.dtype == tf.int32
    assert cached.shape == (5, *prior.code_shape)
    assert len(np.unique(cached)) > 3
    np.testing.assert_array_equal(cached, reference)


def test_the_noise_of_a_map_is_bit_identical_in_any_batch():
    together = row_noise(tf.constant(SEEDS), tf.constant(4), 7, 37).numpy()
    assert together.shape == (7, 5, 37)
    np.testing.assert_array_equal(together[:, 0], together[:, 3])
    for i, seed in enumerate(SEEDS):
        alone = row_noise(tf.constant([seed], tf.int64), tf.constant(4), 7, 37).numpy()
        np.testing.assert_array_equal(alone[:, 0], together[:, i])
    assert len(np.unique(together)) > 0.98 * 4 * 7 * 37
    other_row = row_noise(tf.constant(SEEDS), tf.constant(5), 7, 37).numpy()
    assert np.abs(other_row - together).min() > 0


def test_the_noise_has_the_gumbel_distribution():
    noise = row_noise(tf.range(200, dtype=tf.int64), tf.constant(0), 16, 64).numpy()
    values = np.sort(noise.reshape(-1))
    ranks = (np.arange(values.size) + 0.5) / values.size
    # Kolmogorov-Smirnov distance, far in the tail of its distribution.
    distance = np.abs(np.exp(-np.exp(-values)) - ranks).max()
    assert distance < 2.5 / np.sqrt(values.size)


def tiny_joint(temperature, top_p):
    """Returns a prior over 2 x 2 maps of 3 codes, and the probability of each map."""
    prior = make_prior((2, 2), 0.15, num_embeddings=3, blocks=1, layers=1)
    maps = np.array(list(itertools.product(range(3), repeat=4))).reshape(-1, 2, 2)
    logits = prior.logits(maps).numpy().astype(np.float64) / temperature
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    for share in shares.reshape(-1, 3):
        total = 0.0
        for code in np.argsort(-share):
            kept = total < top_p
            total += share[code]
            share[code] *= kept
    shares /= shares.sum(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shares, maps[..., None], axis=-1)
    return prior, chosen.prod(axis=(1, 2, 3))


def test_sampled_frequencies_are_those_of_the_joint_distribution():
    parameters = {"temperature": 1.7, "top_p": 0.8}
    prior, expected = tiny_joint(**parameters)
    np.testing.assert_allclose(expected.sum(), 1)
    number = 4000
    maps = ancestral_sample(prior, np.arange(number), **parameters).numpy()
    found = np.bincount(maps.reshape(number, 4) @ [27, 9, 3, 1], minlength=81)
    assert found[expected == 0].sum() == 0
    likely = expected * number >= 5
    # Rare maps are counted together.
    found = np.append(found[likely], found[~likely].sum())
    expected = np.append(expected[likely], expected[~likely].sum()) * number
    found, expected = found[expected > 0], expected[expected > 0]
    statistic = np.sum((found - expected) ** 2 / expected)
    freedom = len(expected) - 1
    assert freedom >= 8
    chance = tf.math.igammac(
        tf.constant(freedom / 2), tf.constant(statistic / 2, tf.float32)
    )
    assert chance > 0.001


def test_top_p_keeps_the_fewest_codes_that_reach_it():
    shares = np.array([[0.1, 0.5, 0.25, 0.15]] * 5, np.float32)
    top_p = np.array([[0.01], [0.5], [0.6], [0.95], [1.0]], np.float32)
    kept = np.isfinite(keep_top(tf.math.log(shares), tf.constant(top_p)))
    np.testing.assert_array_equal(
        kept,
        np.array([[0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [1] * 4, [1] * 4], bool),
    )


def test_guidance_extrapolates_from_the_unconditional_logits():
    logits = np.array([[1.0, 2, 3], [0.5, 0, -1], [2.0, 2, 2], [1, 1, 0]], np.float32)
    code_sampler = CodeSampler(tf.constant(2), 1.0, 1.0, np.array([0.0, 2.0]))
    expected = [logits[0], 3 * logits[1] - 2 * logits[3]]
    np.testing.assert_allclose(code_sampler.adjust(tf.constant(logits)), expected)


class CountingPrior:
    """A prior whose every code is the sum of the earlier codes plus the number of maps.

    It replaces the incremental evaluation of a PixelSNAIL.
    """

    code_shape = (3, 4)
    num_embeddings = 50

    def before_first_row(self):
        return tf.zeros([1, self.maps, 1], tf.int32)

    def start_row(self, history, row):
        return row, history

    def look_up(self, ready, column, count):
        return [()] * count

    def step(self, place, state):
        codes = (state[0, :, 0] + self.maps) % self.num_embeddings
        return 100 * tf.one_hot(codes, self.num_embeddings), codes

    def accept(self, place, state, draft, codes):
        return state + codes[None, :, None]

    def end_row(self, history, state, codes):
        # The codes of the row are those that the state has accepted.
        check = tf.debugging.assert_equal(
            tf.reduce_sum(codes, axis=1), (state - history)[0, :, 0]
        )
        with tf.control_dependencies([check]):
            return tf.identity(state)


@pytest.fixture
def counting_prior(monkeypatch):
    def incremental(prior, maps, labels, condition):
        prior.maps = maps
        return prior

    monkeypatch.setattr(ancestral, "IncrementalPixelSNAIL", incremental)
    return CountingPrior()


def counted(maps):
    codes, total = [], 0
    for _ in range(12):
        codes.append((total + maps) % 50)
        total += codes[-1]
    return np.reshape(codes, (3, 4))


def test_each_code_follows_the_earlier_ones_with_two_passes_only_for_guidance(
    counting_prior,
):
    labels = np.zeros([3, 2])
    for guidance, maps in ((0.0, 3), ([0.0] * 3, 3), ([0.0, 1.0, 0.0], 6)):
        codes = ancestral_sample(counting_prior, [1, 2, 3], labels, guidance=guidance)
        np.testing.assert_array_equal(codes, [counted(maps)] * 3)
    without_labels = ancestral_sample(counting_prior, [1, 2, 3], guidance=2.0)
    np.testing.assert_array_equal(without_labels, [counted(3)] * 3)


def test_completion_keeps_given_codes_and_samples_the_others_to_match():
    prior = make_prior((3, 4), noise=0.3, blocks=1, layers=1)
    inputs = inputs_of(prior)
    rng = np.random.default_rng(0)
    given = rng.integers(CODES, size=[5, 3, 4])
    keep = rng.random([5, 3, 4]) < 0.5
    keep[0], keep[1] = True, False
    given[1] = -1
    completed = ancestral_sample(prior, SEEDS, **inputs, given=given, keep=keep).numpy()
    np.testing.assert_array_equal(completed[keep], given[keep])
    free = ancestral_sample(prior, SEEDS, **inputs).numpy()
    np.testing.assert_array_equal(completed[1], free[1])
    assert (completed[2:] != free[2:])[~keep[2:]].any()
    np.testing.assert_array_equal(
        completed,
        ancestral_sample_reference(prior, SEEDS, **inputs, given=given, keep=keep),
    )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", (0.0, [1.0, np.nan], np.inf)),
        ("top_p", (0.0, [1.0, 1.01], np.nan)),
        ("guidance", (-0.5, [0.0, np.nan], np.inf)),
    ],
)
def test_values_out_of_range_are_refused(name, values):
    for value in values:
        parameters = {"temperature": 1.0, "top_p": 1.0, "guidance": 0.0, name: value}
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"{name} is out of range: expected"
        ):
            CodeSampler(tf.constant(2), **parameters)


def test_unknown_codes_that_would_be_kept_are_refused():
    given, keep = np.full([1, 2, 2], CODES), np.ones([1, 2, 2], bool)
    prior = make_prior((2, 2), blocks=1, layers=1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="given has unknown codes"):
        ancestral_sample(prior, [1], given=given, keep=keep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": [[1]]}, "seeds have a wrong shape"),
        (
            {
                "seeds": [1],
                "given": np.zeros([1, 4, 3], int),
                "keep": np.zeros([1, 4, 3]),
            },
            r"given has a wrong shape: expected \[B, 3, 4\]",
        ),
    ],
)
def test_wrong_shapes_are_refused(counting_prior, arguments, message):
    with pytest.raises(ValueError, match=message):
        ancestral_sample(counting_prior, **arguments)


def test_weights_changed_after_the_first_call_are_used():
    prior = make_prior((3, 3), blocks=1, layers=1)
    first = ancestral_sample(prior, SEEDS).numpy()
    prior.head_bias.assign(100 * np.eye(CODES)[4])
    np.testing.assert_array_equal(
        ancestral_sample(prior, SEEDS), np.full_like(first, 4)
    )


def test_the_kept_memory_of_a_map_is_counted_by_hand():
    # 4 rows of 7 + 4 columns: 8 embedded channels, and 6 gated layers with 8 and 12
    # channels; keys and values of 2 heads with 4 + 5 numbers in 2 blocks for 36
    # positions; a context vector.
    rows = 4 * 11 * (8 + 6 * (8 + 12))
    assert memory_per_map(prior_config()) == 4 * (rows + 2 * 2 * 9 * 36 + 8)
    assert memory_per_map(prior_config(attention=False)) == 4 * (rows + 8)
