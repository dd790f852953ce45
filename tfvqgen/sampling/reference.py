"""Ancestral sampling by a full forward pass for every position: slow and plain."""

# Shapes: B maps, H x W positions, K codes, L labels; h x w codes of the condition.

from typing import Any

import tensorflow as tf

from tfvqgen.sampling.ancestral import Request, in_graph, make_request, row_noise


@in_graph
def ancestral_sample_reference(
    prior: Any,
    seeds: Any,
    labels: Any = None,
    condition: Any = None,
    temperature: Any = 1.0,
    top_p: Any = 1.0,
    guidance: Any = 0.0,
    given: Any = None,
    keep: Any = None,
) -> tf.Tensor:
    """Draws the codes that :func:`~tfvqgen.sampling.ancestral_sample` draws, plainly.

    Of the prior only ``logits(codes, labels, condition)``, ``code_shape`` and
    ``num_embeddings`` are used. Arguments, result and errors are the same.
    """
    request = make_request(
        prior, seeds, labels, condition, temperature, top_p, guidance, given, keep
    )
    height, width = prior.code_shape
    codes = tf.zeros([request.maps, height, width], tf.int32)
    codes = sample_positions(prior, request, codes, tf.range(height * width))
    return tf.ensure_shape(codes, [request.seeds.shape[0], height, width])


def sample_positions(
    prior: Any, request: Request, codes: tf.Tensor, positions: tf.Tensor
) -> tf.Tensor:
    """Draws the codes of some positions from full forward passes.

    Args:
        prior: What to sample from.
        request: What is asked.
        codes: The maps so far, int32 [B, H, W].
        positions: Numbers of the positions in raster order, int32 [n], ascending.

    Returns:
        The maps with the positions' codes, int32 [B, H, W].
    """
    height, width = prior.code_shape

    def sample_position(number, codes):
        position = positions[number]
        row, column = position // width, position % width
        logits = prior.logits(
            request.choice.repeat(codes), request.labels, request.condition
        )
        noise = row_noise(request.seeds, row, width, prior.num_embeddings)
        drawn = request.choice(logits[:, row, column], noise[column])
        drawn = request.settle(drawn, row, column)
        place = tf.one_hot(position, height * width, True, False, dtype=tf.bool)
        place = tf.reshape(place, [1, height, width])
        return number + 1, tf.where(place, drawn[:, None, None], codes)

    _, codes = tf.while_loop(
        lambda number, _: number < tf.shape(positions)[0],
        sample_position,
        [tf.constant(0), codes],
    )
    return codes
