import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tfvqgen.export.compact import compact
from tfvqgen.export.verification.loaded import Loaded


def save(folder):
    """Writes a graph with a loop, a check, constants that are equal, and leftovers."""
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


def nodes(folder):
    data = (folder / "saved_model.pb").read_bytes()
    (meta_graph,) = saved_model_pb2.SavedModel.FromString(data).meta_graphs
    return [x for f in meta_graph.graph_def.library.function for x in f.node_def]


def test_a_compact_graph_is_smaller_and_computes_the_same(tmp_path):
    save(tmp_path)
    inputs = {"x": np.float32([1, -3, 0.5])}
    before, was = Loaded(tmp_path)("serving_default", inputs), nodes(tmp_path)
    compact(tmp_path)
    after, now = Loaded(tmp_path)("serving_default", inputs), nodes(tmp_path)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    assert len(now) < len(was)
    assert any(node.op == "Exp" for node in was)
    assert not any(node.op == "Exp" for node in now)
    assert any(node.op == "Assert" for node in now)


def test_a_compact_model_is_loaded_by_tensorflow_with_its_shapes(tmp_path):
    save(tmp_path)
    compact(tmp_path)
    signature = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    spec = signature.structured_input_signature[1]["x"]
    assert spec.shape.as_list() == [None]
    made = signature(x=tf.constant([1.0]))
    assert float(made["y"][0]) == ((4 * 2 + 2) * 2 + 2) * 2 + 2
    fingerprint = tf.saved_model.experimental.read_fingerprint(str(tmp_path))
    assert fingerprint.saved_model_checksum > 0


def test_nodes_are_called_the_same_each_time_a_model_is_saved(tmp_path):
    save(tmp_path / "first")
    save(tmp_path / "second")
    names = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        compact(folder)
        names.append(sorted(node.name for node in nodes(folder)))
    assert names[0] == names[1]
    assert "Assert0" in names[0]
