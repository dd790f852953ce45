import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfvqgen.export.compact import compact
from tfvqgen.generation.loaded_graph import LoadedGraph


def save(folder):
    """Writes a graph with a loop, a check, equal constants and unused nodes."""
    module = tf.Module()
    module.weights = [tf.Variable([1.0, 2.0])]

    def answer(x):
        check = tf.raw_ops.Assert(condition=tf.reduce_all(x < 9), data=["too large"])
        with tf.control_dependencies([check]):
            doubled = x * tf.constant(2.0) + tf.constant(2.0)
        _ = tf.exp(doubled) + tf.constant(3.0)
        total = tf.while_loop(
            lambda i, _: i < 3,
            lambda i, y: (i + 1, y * tf.constant(2.0) + module.weights[0][1]),
            [tf.constant(0), doubled],
        )[1]
        return {"y": total, "two": tf.fill(tf.shape(x), tf.constant(2.0))}

    signature = tf.function(
        answer, input_signature=[tf.TensorSpec([None], tf.float32, "x")]
    )
    tf.saved_model.save(module, str(folder), signatures={"serving_default": signature})


def operations(folder):
    data = (folder / "saved_model.pb").read_bytes()
    (meta_graph,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    return [x.op for f in meta_graph.graph_def.library.function for x in f.node_def]


def test_a_compact_graph_is_smaller_and_gives_the_same_results(tmp_path):
    save(tmp_path)
    inputs = {"x": np.float32([1, -3, 0.5])}
    before, was = LoadedGraph(tmp_path)("serving_default", inputs), operations(tmp_path)
    compact(tmp_path)
    after, now = LoadedGraph(tmp_path)("serving_default", inputs), operations(tmp_path)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert len(now) < len(was)
    assert "Exp" in was and "Exp" not in now and "Assert" in now
    # TensorFlow itself infers the shapes again.
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    np.testing.assert_array_equal(
        signature(x=tf.constant(inputs["x"]))["y"], before["y"]
    )
    fingerprint = tf.saved_model.experimental.read_fingerprint(str(tmp_path))
    assert fingerprint.saved_model_checksum > 0
