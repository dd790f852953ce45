"""The formulas beside what the sampler really keeps, and beside each other."""

import argparse

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import sampling_cost
from tests import priors
from tfvqgen.sampling.incremental_pixelsnail import (
    IncrementalPixelSNAIL,
    kept_numbers,
    memory_per_map,
)

MAPS = 3
PRIORS = [
    {"code_shape": (5, 7)},
    {"code_shape": (5, 7), "attention": False, "output_layers": 2},
    {"code_shape": (6, 4), "condition_shape": (3, 2)},
    {"code_shape": (6, 4), "condition_shape": (3, 2), "attention": False, "kernel": 3},
]


def numbers_of(structure) -> int:
    """Counts the numbers of a map in [..., B, ...] tensors of floats."""
    tensors = [x for x in tf.nest.flatten(structure) if x.dtype == tf.float32]
    return sum(int(tf.size(x)) for x in tensors) // MAPS


@pytest.mark.parametrize("keys", PRIORS)
def test_the_memory_formulas_count_what_the_sampler_keeps(keys):
    prior = priors.make_prior(**keys)
    inputs = priors.random_inputs(prior, MAPS)
    given = (inputs["labels"], inputs["condition"])
    incremental = IncrementalPixelSNAIL(prior, tf.constant(MAPS), *given)
    history = incremental.before_first_row()
    for row in range(prior.code_shape[0]):
        _, state = incremental.start_row(history, tf.constant(row))
        codes = tf.zeros([MAPS, prior.code_shape[1]], tf.int32)
        history = incremental.end_row(history, state, codes)
    kept = kept_numbers(prior.config)
    for name, tensors in history._asdict().items():
        assert kept[name] == numbers_of(tensors), name
    context = prior.context(tf.constant(MAPS), prior.code_shape, *given)
    assert kept["context"] == numbers_of(context)
    assert memory_per_map(prior.config) == 4 * sum(kept.values())


@pytest.mark.parametrize("keys", PRIORS)
def test_the_matmul_formulas_count_the_weights_that_a_prior_has(keys):
    prior = priors.make_prior(**keys)
    config = prior.config
    products = sampling_cost.step_matmuls(config, 1, 1)
    products += sampling_cost.row_matmuls(config, 1)
    elsewhere = (
        "bias",
        "background",
        "embeddings",
        "condition_stack",
        "start_key",
        "start_value",
        "steps",
        # Looked up in a table that is made once.
        "input_conv/own_row",
    )
    if not config.conditioned:
        elsewhere += ("context_kernel",)
    expected = sum(
        int(np.prod(weight.shape))
        for weight in prior.weights
        if not any(part in weight.path for part in elsewhere)
    )
    assert sum(x.weight_bytes for x in products) == 4 * expected


def test_the_first_rows_cost_less_by_the_rows_that_are_not_there():
    config = priors.prior_config((10, 4))
    # Of the taps above, 0, 1, 2 and 3 of 4 rows in the first rows, then all.
    mean = (0 + 0.25 + 0.5 + 0.75 + 6) / 10
    assert sampling_cost.mean_share_of_row(config) == pytest.approx(mean)
    one_row = priors.prior_config((1, 4))
    assert sampling_cost.mean_share_of_row(one_row) == 0


def test_only_attention_makes_a_code_of_a_larger_map_more_work():
    def operations(size, attention):
        config = priors.prior_config((size, size), attention=attention)
        row = sampling_cost.row_matmuls(config, 1)
        step = sampling_cost.step_matmuls(config, 1, sampling_cost.mean_keys(config))
        return sum(x.operations for x in row) / size + sum(x.operations for x in step)

    assert operations(8, False) == operations(64, False)
    config = priors.prior_config()
    sizes = config.key_dim + config.value_dim
    # The heads are taken apart by zeros, which multiplies by their number again.
    per_key = 2 * config.blocks * config.heads**2 * sizes
    more_keys = (64**2 - 8**2) // 2
    assert operations(64, True) - operations(8, True) == per_key * more_keys


def test_the_table_has_a_line_for_each_prior_and_size():
    args = argparse.Namespace(preset="hpa128", map_sizes=[16, 32])
    header, rule, *lines = sampling_cost.table(args).splitlines()
    assert len(lines) == 8
    assert {line.count("|") for line in (header, rule, *lines)} == {7}
    assert lines[2].startswith("| top | 16 x 16 | yes | 14.24 | 4.60 | 1.22 |")
