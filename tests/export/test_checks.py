import json
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tests.generators import make_generator
from tfvqgen.cli import verify as command
from tfvqgen.errors import DataError, UserError
from tfvqgen.export import checks
from tfvqgen.export import verify as verification
from tfvqgen.export.checks import (
    SIGNATURES,
    Verification,
    answer_to,
    batching_faults,
    count_differing_rows,
    operation_faults,
)
from tfvqgen.export.examples import WARM_UP, example_rows

INFO = make_generator(4, "uint16").model_info.to_json()


def test_an_export_passes_every_check(real_export, saved_model, monkeypatch):
    # A second session would prepare every graph again.
    monkeypatch.setattr(checks, "LoadedGraph", lambda path: saved_model._loaded)
    found = Verification(real_export / "1")
    found.run()
    assert [check for check in found.checks if not check["ok"]] == []
    assert len(found.checks) == 9
    assert found.metrics["weight_bytes"] < found.metrics["bytes"] < 2_500_000


def test_checks_run_in_a_process_without_keras_and_this_project(
    real_export, monkeypatch
):
    absent = ("keras", "tfvqgen", "tfvqgen.models", "tensorflow_probability")
    attempts = f"""
for name in {absent}:
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit(f"{{name}} was imported")
"""
    program = verification._PROGRAM.replace("\nmain(", f"{attempts}\nmain(")
    monkeypatch.setattr(verification, "_PROGRAM", program)
    found = verification.verify(real_export / "1", only="times")
    assert all(check["ok"] for check in found["checks"]) and len(found["checks"]) == 3
    metrics = found["metrics"]
    assert metrics["later_request_seconds"] < metrics["first_request_seconds"]
    assert metrics["peak_memory_megabytes"] > 100


def test_the_command_reports_the_checks(real_export, tmp_path, capsys, monkeypatch):
    check = {"name": "loads", "ok": False, "detail": "DataLossError"}
    found = {"checks": [check], "metrics": {"load_seconds": 1.5}}
    monkeypatch.setattr(verification, "verify", lambda path: found)
    path = tmp_path / "found.json"
    with pytest.raises(DataError, match=r"^the export fails 1 of 1 checks.*DataLoss"):
        command.run(SimpleNamespace(model=real_export, json=path))
    assert json.loads(path.read_text())["checks"] == [check]
    assert "FAILED  loads" in capsys.readouterr().out
    check["ok"] = True
    command.run(SimpleNamespace(model=real_export, json=None))
    assert "ok      loads" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"^no export: expected"):
        command.run(SimpleNamespace(model=tmp_path, json=None))


def test_a_process_that_dies_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(verification, "_PROGRAM", "raise SystemExit('out of memory')")
    with pytest.raises(DataError, match=r"died.*exit status 1 \(out of memory\)"):
        verification.verify(tmp_path)


def test_the_warm_up_is_written_in_the_protocol_of_the_server(real_export):
    names = set()
    records = tf.data.TFRecordDataset(str(real_export / "1" / WARM_UP))
    for record in records.as_numpy_iterator():
        request = PredictionLog.FromString(record).predict_log.request
        assert request.model_spec.name == "tfvqgen"
        for key, value in example_rows(INFO, list(request.inputs), 1).items():
            found = tf.make_ndarray(request.inputs[key])
            np.testing.assert_array_equal(found, value)
            assert found.dtype == value.dtype
        names.add(request.model_spec.signature_name)
    assert names == SIGNATURES


def graph_with(op, **attributes):
    graph = meta_graph_pb2.MetaGraphDef().graph_def
    node = graph.library.function.add().node_def.add(name="it", op=op)
    for name, value in attributes.items():
        node.attr[name].b = value
    return graph


@pytest.mark.parametrize(
    ("graph", "fault"),
    [
        (graph_with("StatelessWhile", _XlaMustCompile=False), None),
        (graph_with("EagerPyFunc"), "EagerPyFunc is not in the server"),
        (graph_with("NoSuchOperation"), "NoSuchOperation is not in the server"),
        (graph_with("MatMul", _XlaMustCompile=True), "it is compiled by XLA"),
    ],
)
def test_operations_that_the_server_cannot_run_are_found(graph, fault):
    assert operation_faults(graph) == ([fault] if fault else [])


def test_signatures_without_a_batch_dimension_are_found():
    signature = meta_graph_pb2.SignatureDef()
    signature.inputs["a"].tensor_shape.dim.add(size=-1)
    signature.outputs["b"].tensor_shape.dim.add(size=3)
    assert batching_faults({"x": signature}) == ["x.b [3]"]


def test_rows_that_differ_are_counted():
    one = {"codes": np.zeros([3, 2], np.int32), "image": np.zeros([3, 2], np.uint8)}
    other = {name: value.copy() for name, value in one.items()}
    other["image"][0] = 1
    assert count_differing_rows(one, other) == 0
    other["codes"][1, 1] = 5
    other["image"][2] = 2
    assert count_differing_rows(one, other) == 2
    bits = {"bits": np.float32([1, 2])}
    assert count_differing_rows(bits, {"bits": np.float32([1, np.nan])}) == 1


def test_answers_to_wrong_requests_are_found():
    def refusing(name, inputs):
        message = "assertion failed: [x is wrong: expected 1. Received: 2]\n more"
        raise tf.errors.InvalidArgumentError(None, None, message)

    assert answer_to(refusing, "generate", {}, "x") is None
    assert answer_to(refusing, "generate", {}, "seed") is not None
    assert answer_to(lambda *_: {}, "generate", {}, "x") == "it was answered"
