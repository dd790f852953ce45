import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tests import support
from tests.export.test_export import damaged_copy
from tfvqgen.export.verification import graph_rules, wire
from tfvqgen.export.verification.behaviour import differing_rows
from tfvqgen.export.verify import verify


@pytest.fixture(scope="module")
def found(real_export):
    return verify(real_export / "1")


def test_an_export_passes_every_check(found):
    failed = [check for check in found["checks"] if not check["ok"]]
    assert failed == []
    assert len(found["checks"]) == 11


def test_the_figures_are_there(found):
    figures = found["figures"]
    assert 0 < figures["load_seconds"] < figures["first_request_seconds"] + 60
    assert figures["later_request_seconds"] < figures["first_request_seconds"]
    assert figures["weight_bytes"] < figures["bytes"] < 2_500_000
    assert figures["peak_memory_megabytes"] > figures["memory_before_loading_megabytes"]


def run_verify(*flags):
    return subprocess.run(
        [sys.executable, "-m", "tfvqgen", "verify", *map(str, flags)],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def test_a_missing_signature_is_found(real_export, tmp_path):
    shutil.copytree(real_export / "1", tmp_path / "1")
    file = tmp_path / "1/saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    del model.meta_graphs[0].signature_def["score"]
    file.write_bytes(model.SerializeToString())
    done = run_verify("--model", tmp_path, "--json", tmp_path / "found.json")
    assert done.returncode == 2
    assert done.stderr.startswith("error: the export fails 1 of 2 checks: expected")
    assert done.stderr.count("\n") == 1 and "score is missing" in done.stderr
    assert "FAILED  has every signature" in done.stdout
    checks = json.loads((tmp_path / "found.json").read_text())["checks"]
    assert [check["ok"] for check in checks] == [True, False]


def test_damaged_weights_are_found(real_export, tmp_path):
    copy = damaged_copy(real_export, tmp_path)
    (check,) = verify(copy, only="warm_up")["checks"]
    assert not check["ok"] and "DataLossError" in check["detail"]


def test_help_teaches_and_mistakes_are_one_line(tmp_path):
    assert "five at once" in run_verify("--help").stdout
    done = run_verify("--model", tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no export: expected")
    assert done.stderr.count("\n") == 1


def test_keras_and_this_project_cannot_be_imported_where_it_is_checked(tmp_path):
    program = tmp_path / "program.py"
    folder = support.ROOT / "tfvqgen/export/verification"
    program.write_text(
        f"""
import runpy, sys
sys.argv = ["x", "nowhere"]
sys.path.insert(0, {str(support.ROOT)!r})
runpy.run_path({str(folder)!r}, run_name="__main__")
for name in ("keras", "tfvqgen", "tensorflow_probability"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{{name}} can be imported")
"""
    )
    done = subprocess.run(
        [sys.executable, "-I", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["checks"][0]["ok"] is False


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([2**62, -1]),
        np.full([1, 300, 5], 7, np.uint16),
        np.array([b"x"], object),
    ],
    ids=lambda x: f"{x.dtype}{x.shape}",
)
def test_a_logged_request_is_read_back(value):
    record = wire.encode_request("tfvqgen", "generate", {"a": value, "b": value[:1]})
    signature, inputs = wire.decode_request(record)
    assert signature == "generate"
    np.testing.assert_array_equal(inputs["a"], value)
    np.testing.assert_array_equal(inputs["b"], value[:1])
    assert inputs["a"].dtype == value.dtype


def test_the_warm_up_is_what_the_servers_own_protocol_reads(real_export):
    prediction_log_pb2 = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2"
    )
    path = real_export / "1/assets.extra/tf_serving_warmup_requests"
    names = set()
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        request = log.predict_log.request
        names.add(request.model_spec.signature_name)
        expected = wire.decode_request(record)[1]
        assert set(request.inputs) == set(expected)
        for name, value in expected.items():
            read = tf.make_ndarray(request.inputs[name])
            np.testing.assert_array_equal(read, value)
    assert {"serving_default", "complete", "about"} <= names


@pytest.mark.parametrize(
    "record", [b"", b"\x32\x05ab", b"\x33", bytes([8, 1]), b"\x32\x00"]
)
def test_what_is_no_logged_request_is_refused(record):
    with pytest.raises(ValueError):
        wire.decode_request(record)


def graph_with(op, **attributes):
    meta_graph = meta_graph_pb2.MetaGraphDef()
    function = meta_graph.graph_def.library.function.add()
    node = function.node_def.add(name="it", op=op)
    for name, value in attributes.items():
        node.attr[name].b = value
    return meta_graph


@pytest.mark.parametrize(
    ("op", "known"),
    [
        ("MatMul", True),
        ("StatelessWhile", True),
        ("NoOp", True),
        ("EagerPyFunc", False),
        ("XlaLaunch", False),
        ("Package>Op", False),
        ("NoSuchOperation", False),
    ],
)
def test_operations_that_the_server_lacks_are_found(op, known):
    assert graph_rules.unknown_operations(graph_with(op)) == ([] if known else [op])


def test_what_is_compiled_is_found():
    assert graph_rules.compiled_parts(graph_with("MatMul")) == []
    assert graph_rules.compiled_parts(graph_with("MatMul", _XlaMustCompile=True))
    assert not graph_rules.compiled_parts(graph_with("MatMul", _XlaMustCompile=False))


def test_signatures_without_rows_or_inputs_are_found():
    signature = meta_graph_pb2.SignatureDef()
    assert graph_rules.rest_faults({"x": signature}) == ["x without input"]
    signature.inputs["a"].tensor_shape.dim.add(size=-1)
    signature.outputs["b"].tensor_shape.dim.add(size=3)
    assert graph_rules.rest_faults({"x": signature}) == []
    assert graph_rules.batching_faults({"x": signature}) == ["x.b [3]"]


def test_rows_that_differ_are_counted():
    one = {"codes": np.zeros([3, 2], np.int32), "image": np.zeros([3, 2], np.uint8)}
    other = {name: value.copy() for name, value in one.items()}
    other["image"][0] = 1
    assert differing_rows(one, other) == 0
    other["codes"][1, 1] = 5
    other["image"][2] = 2
    assert differing_rows(one, other) == 2
    bits = {"bits": np.float32([1, 2])}
    assert differing_rows(bits, {"bits": np.float32([1, np.nan])}) == 1
