import numpy as np
import pytest
import tensorflow as tf

from tfvqgen.export.in_parts import in_parts


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_parts_give_what_the_whole_gives(rows):
    sizes = []

    def function(x, y):
        sizes.append(x.shape)
        return {"sum": x + y, "squares": tf.cast(x[:, None] ** 2, tf.uint16)}

    outputs = {
        "sum": tf.TensorSpec([None], tf.int32),
        "squares": tf.TensorSpec([None, 1], tf.uint16),
    }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)] * 2)
    def whole(x, y):
        return in_parts(function, [x, y], 3, outputs, 100)

    x, y = np.arange(rows, dtype=np.int32), np.full(rows, 5, np.int32)
    made = whole(x, y)
    np.testing.assert_array_equal(made["sum"], x + 5)
    np.testing.assert_array_equal(made["squares"], x[:, None] ** 2)
    assert made["squares"].dtype == tf.uint16
    assert len(sizes) == 1


def test_one_part_is_no_loop():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def whole(x):
        return in_parts(tf.negative, [x], 8, tf.TensorSpec([None], tf.int32), 8)

    graph = whole.get_concrete_function().graph
    assert not any("While" in x.type for x in graph.get_operations())
    np.testing.assert_array_equal(whole([1, 2]), [-1, -2])
