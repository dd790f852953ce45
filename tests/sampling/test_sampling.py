import gc
import itertools
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tests.priors import CODES, make_prior, random_inputs
from tfvqgen.models import PixelSNAIL
from tfvqgen.sampling import ancestral_sample, ancestral_sample_reference
from tfvqgen.sampling.ancestral import row_noise
from tfvqgen.sampling.choice import Choice, keep_top

SEEDS = np.array([3, -1, 2**62, 3, 0])
SETTINGS = {
    "temperature": np.array([0.5, 1.0, 1.5, 0.5, 2.0]),
    "top_p": np.array([1.0, 0.5, 0.9, 1.0, 0.7]),
    "guidance": np.array([0.0, 1.0, 2.0, 0.0, 0.5]),
}


def inputs_of(prior, batch=5):
    inputs = random_inputs(prior, batch)
    return {"labels": inputs["labels"], "condition": inputs["condition"]}


@pytest.mark.parametrize(
    "kind",
    [
        {"code_shape": (5, 7)},
        {"code_shape": (6, 4), "condition_shape": (3, 2), "attention": False},
        {"code_shape": (1, 6), "kernel": 3},
        {"code_shape": (7, 1), "output_layers": 0},
        {"code_shape": (2, 2), "blocks": 1, "layers": 1},
    ],
    ids=["odd", "conditioned", "one row", "one column", "one layer"],
)
def test_the_cached_sampler_draws_the_codes_of_the_plain_one(kind):
    prior = make_prior(**kind)
    inputs = inputs_of(prior)
    for settings in ({}, SETTINGS):
        cached = ancestral_sample(prior, SEEDS, **inputs, **settings)
        plain = ancestral_sample_reference(prior, SEEDS, **inputs, **settings)
        assert cached.dtype == tf.int32
        assert cached.shape == (5, *prior.code_shape)
        assert len(np.unique(cached)) > 3
        np.testing.assert_array_equal(cached, plain)


def test_the_noise_of_a_map_is_the_same_to_the_last_bit_in_any_batch():
    together = row_noise(tf.constant(SEEDS), tf.constant(4), 7, 37).numpy()
    assert together.shape == (7, 5, 37)
    np.testing.assert_array_equal(together[:, 0], together[:, 3])
    for i, seed in enumerate(SEEDS):
        alone = row_noise(tf.constant([seed], tf.int64), tf.constant(4), 7, 37).numpy()
        np.testing.assert_array_equal(alone[:, 0], together[:, i])
    assert len(np.unique(together)) > 0.98 * 4 * 7 * 37
    other_row = row_noise(tf.constant(SEEDS), tf.constant(5), 7, 37).numpy()
    assert np.abs(other_row - together).min() > 0


def test_the_noise_is_gumbels():
    noise = row_noise(tf.range(200, dtype=tf.int64), tf.constant(0), 16, 64).numpy()
    values = np.sort(noise.reshape(-1))
    ranks = (np.arange(values.size) + 0.5) / values.size
    # Kolmogorov-Smirnov, far in the tail of what chance allows.
    distance = np.abs(np.exp(-np.exp(-values)) - ranks).max()
    assert distance < 2.5 / np.sqrt(values.size)


@pytest.mark.parametrize("batch", [1, 3, None])
def test_the_batch_may_be_static_or_not(batch):
    prior = make_prior((3, 4), attention=batch != 3)
    signature = [tf.TensorSpec([batch], tf.int64)]
    sample = tf.function(
        lambda seeds: ancestral_sample(prior, seeds), input_signature=signature
    )
    seeds = np.arange(batch or 2)
    np.testing.assert_array_equal(
        sample(tf.constant(seeds)), ancestral_sample_reference(prior, seeds)
    )


def test_a_maps_codes_do_not_depend_on_its_batch():
    prior = make_prior((6, 6))
    inputs = inputs_of(prior)
    together = ancestral_sample(prior, SEEDS, **inputs, **SETTINGS).numpy()
    for i in (0, 1, 4):
        alone = ancestral_sample(
            prior,
            SEEDS[i : i + 1],
            labels=inputs["labels"][i : i + 1],
            **{name: value[i : i + 1] for name, value in SETTINGS.items()},
        )
        np.testing.assert_array_equal(alone[0], together[i])


def tiny_joint(temperature=1.0, top_p=1.0):
    """Returns a prior over maps of 2 x 2 codes out of 3, and each map's probability."""
    prior = make_prior((2, 2), 0.15, num_embeddings=3)
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


@pytest.mark.parametrize("settings", [{}, {"temperature": 1.7}, {"top_p": 0.7}])
def test_sampled_frequencies_are_those_of_the_joint_distribution(settings):
    prior, expected = tiny_joint(**settings)
    np.testing.assert_allclose(expected.sum(), 1)
    number = 20_000
    maps = ancestral_sample(prior, np.arange(number), **settings).numpy()
    found = np.bincount(maps.reshape(number, 4) @ [27, 9, 3, 1], minlength=81)
    assert found[expected == 0].sum() == 0
    likely = expected * number >= 5
    # What is rare is counted together.
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


def test_guidance_draws_from_what_its_formula_says():
    logits = np.array([[1.0, 2, 3], [0.5, 0, -1], [2.0, 2, 2], [1, 1, 0]], np.float32)
    choice = Choice(tf.constant(2), 1.0, 1.0, np.array([0.0, 2.0]))
    expected = [logits[0], 3 * logits[1] - 2 * logits[3]]
    np.testing.assert_allclose(choice.adjust(tf.constant(logits)), expected)


class CountingPrior:
    """A prior whose every code is the sum of those before it plus the maps walked."""

    code_shape = (3, 4)
    num_embeddings = 50

    def incremental(self, maps, labels, condition):
        del labels, condition
        self.maps = maps
        return self

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
        # What the sampler says of the row is what the state has seen.
        check = tf.debugging.assert_equal(
            tf.reduce_sum(codes, axis=1), (state - history)[0, :, 0]
        )
        with tf.control_dependencies([check]):
            return tf.identity(state)


def counted(maps, start=0):
    codes, total = [], start
    for _ in range(12):
        codes.append((total + maps) % 50)
        total += codes[-1]
    return np.reshape(codes, (3, 4))


def test_each_code_is_drawn_from_those_before_it_in_raster_order():
    codes = ancestral_sample(CountingPrior(), [1, 2, 3])
    np.testing.assert_array_equal(codes, [counted(3)] * 3)


def test_a_second_pass_is_made_only_where_guidance_asks_for_it():
    labels = np.zeros([3, 2])
    for guidance, maps in ((0.0, 3), ([0.0] * 3, 3), (0.5, 6), ([0.0, 1.0, 0.0], 6)):
        codes = ancestral_sample(CountingPrior(), [1, 2, 3], labels, guidance=guidance)
        np.testing.assert_array_equal(codes, [counted(maps)] * 3)
    codes = ancestral_sample(CountingPrior(), [1, 2, 3], guidance=2.0)
    np.testing.assert_array_equal(codes, [counted(3)] * 3)


def test_no_guidance_beside_guided_maps_is_no_guidance():
    prior = make_prior((4, 4))
    labels = inputs_of(prior)["labels"]
    plain = ancestral_sample(prior, SEEDS, labels).numpy()
    mixed = ancestral_sample(prior, SEEDS, labels, guidance=[0.0, 3.0, 0.0, 9.0, 0.0])
    np.testing.assert_array_equal(mixed.numpy()[[0, 2, 4]], plain[[0, 2, 4]])
    assert (mixed.numpy() != plain).any()


def test_completion_keeps_the_codes_given_and_draws_the_others_beside_them():
    prior = make_prior((5, 6))
    inputs = inputs_of(prior)
    rng = np.random.default_rng(0)
    given = rng.integers(CODES, size=[5, 5, 6])
    keep = rng.random([5, 5, 6]) < 0.5
    keep[0], keep[1] = True, False
    given[1] = -1
    completed = ancestral_sample(prior, SEEDS, **inputs, given=given, keep=keep).numpy()
    np.testing.assert_array_equal(completed[keep], given[keep])
    free = ancestral_sample(prior, SEEDS, **inputs).numpy()
    np.testing.assert_array_equal(completed[1], free[1])
    assert (completed[2][~keep[2]] != free[2][~keep[2]]).any()
    np.testing.assert_array_equal(
        completed,
        ancestral_sample_reference(prior, SEEDS, **inputs, given=given, keep=keep),
    )


class Exported(tf.Module):
    """A prior's sampler and nothing of Keras, as it would be served."""

    def __init__(self, prior):
        super().__init__()
        self.weights = [variable.value for variable in prior.variables]
        object.__setattr__(self, "_prior", lambda: prior)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([None, 3], tf.float32),
            *[tf.TensorSpec([None], tf.float32)] * 3,
        ]
    )
    def sample(self, seeds, labels, temperature, top_p, guidance):
        return ancestral_sample(
            self._prior(),
            seeds,
            labels,
            temperature=temperature,
            top_p=top_p,
            guidance=guidance,
        )


def test_the_sampler_is_exported_without_keras_and_draws_the_same_codes(tmp_path):
    prior = make_prior((4, 5))
    inputs = inputs_of(prior)
    tf.saved_model.save(Exported(prior), tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    settings = {k: tf.constant(v, tf.float32) for k, v in SETTINGS.items()}
    # Twice, because what is written in place must not stay.
    for seeds in (SEEDS, SEEDS[::-1].copy(), SEEDS):
        expected = ancestral_sample_reference(
            prior, seeds, inputs["labels"], **SETTINGS
        )
        found = loaded.sample(tf.constant(seeds), inputs["labels"], *settings.values())
        np.testing.assert_array_equal(found, expected)
    function = loaded.sample.concrete_functions[0]
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    assert not [
        n.name
        for n in nodes
        if "_XlaMustCompile" in n.attr and n.attr["_XlaMustCompile"].b
    ]
    assert not {n.op for n in nodes} & {"PyFunc", "EagerPyFunc"}


def test_the_kept_graph_does_not_keep_the_prior():
    prior = CountingPrior()
    ancestral_sample(prior, [1])
    gone = weakref.ref(prior)
    del prior
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "settings,message",
    [
        ({"temperature": 0.0}, "temperature is out of range: expected above 0"),
        ({"temperature": [1.0, float("nan")]}, "temperature is out of range"),
        ({"temperature": float("inf")}, "temperature is out of range"),
        ({"top_p": 0.0}, "top_p is out of range: expected above 0, at most 1"),
        ({"top_p": [1.0, 1.01]}, "top_p is out of range"),
        ({"guidance": -0.5}, "guidance is out of range: expected at least 0"),
        ({"guidance": [0.0, float("nan")]}, "guidance is out of range"),
        (
            {"given": np.full([2, 3, 4], 50), "keep": np.ones([2, 3, 4], bool)},
            "given has unknown codes: expected 0 to 49",
        ),
    ],
)
def test_values_out_of_range_fail_in_words_and_draw_nothing(settings, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ancestral_sample(CountingPrior(), [1, 2], np.zeros([2, 1]), **settings)


@pytest.mark.parametrize(
    "arguments,message",
    [
        ({"seeds": [[1]]}, "seeds have a wrong shape"),
        ({"seeds": [1], "temperature": [[1.0]]}, "temperature has a wrong shape"),
        ({"seeds": [1], "given": np.zeros([1, 3, 4], int)}, "belong together"),
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
def test_wrong_shapes_are_refused_in_words(arguments, message):
    with pytest.raises(ValueError, match=message):
        ancestral_sample(CountingPrior(), **arguments)


def test_an_argument_too_many_or_said_twice_is_refused():
    maps = [np.zeros([1, 3, 4], int), np.zeros([1, 3, 4], bool)]
    positional = [None, None, 1.0, 1.0, 0.0, *maps]
    with pytest.raises(TypeError, match="too many"):
        ancestral_sample(CountingPrior(), [1], *positional, "eighth")
    with pytest.raises(TypeError, match="multiple values"):
        ancestral_sample(CountingPrior(), [1], *positional[:3], temperature=2.0)


def test_weights_changed_after_the_first_call_count():
    prior = make_prior((3, 3))
    assert isinstance(prior, PixelSNAIL)
    first = ancestral_sample(prior, SEEDS).numpy()
    prior.head_bias.assign(100 * np.eye(CODES)[4])
    np.testing.assert_array_equal(
        ancestral_sample(prior, SEEDS), np.full_like(first, 4)
    )
