import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from tests import support
from tests.export.test_export import damaged_copy
from tests.generators import make_generator
from tfvqgen.cli import verify as command
from tfvqgen.errors import DataError, UserError
from tfvqgen.export.verification import examples, rules
from tfvqgen.export.verify import verify

INFO = make_generator(4, "uint16").model_info.to_json()


def test_an_export_passes_every_check(real_export, tmp_path, capsys):
    path = tmp_path / "found.json"
    command.run(SimpleNamespace(model=real_export, json=path))
    found = json.loads(path.read_text())
    assert [check for check in found["checks"] if not check["ok"]] == []
    assert len(found["checks"]) == 11
    metrics = found["metrics"]
    assert metrics["later_request_seconds"] < metrics["first_request_seconds"]
    assert metrics["weight_bytes"] < metrics["bytes"] < 2_500_000
    assert metrics["peak_memory_megabytes"] > 100
    assert "ok      loads" in capsys.readouterr().out


def test_a_damaged_export_fails_a_check(real_export, tmp_path, capsys):
    copy = damaged_copy(real_export, tmp_path)
    with pytest.raises(DataError, match=r"^the export fails 1 of 1 checks.*DataLoss"):
        command.run(SimpleNamespace(model=copy, json=None))
    assert "FAILED  loads" in capsys.readouterr().out
    shutil.rmtree(copy)
    with pytest.raises(UserError, match=r"^no export: expected"):
        command.run(SimpleNamespace(model=copy, json=None))


def test_a_process_that_dies_is_named(tmp_path, monkeypatch):
    program = tmp_path / "__main__.py"
    program.write_text("raise SystemExit('out of memory')")
    monkeypatch.setattr("tfvqgen.export.verify._PROGRAM", tmp_path)
    with pytest.raises(DataError, match=r"died.*exit status 1 \(out of memory\)"):
        verify(tmp_path)


def test_keras_and_this_project_cannot_be_imported_in_the_process(tmp_path):
    program = tmp_path / "program.py"
    folder = support.ROOT / "tfvqgen/export/verification"
    program.write_text(
        f"""
import runpy, sys, types

class Verification:
    def __init__(self, path):
        self.checks, self.metrics = [], {{}}

    def run(self, flags):
        for name in ("keras", "tfvqgen", "tensorflow_probability", "data_prep"):
            try:
                __import__(name)
            except ImportError:
                self.checks.append(name)

sys.argv = ["x", "nowhere"]
sys.path.insert(0, {str(support.ROOT)!r})
sys.modules["checks"] = types.SimpleNamespace(Verification=Verification)
runpy.run_path({str(folder)!r}, run_name="__main__")
"""
    )
    done = subprocess.run(
        [sys.executable, "-I", program], capture_output=True, text=True
    )
    assert len(json.loads(done.stdout)["checks"]) == 4, done.stderr


def test_the_warm_up_is_written_in_the_protocol_of_the_server(real_export):
    prediction_log_pb2 = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2"
    )
    names = set()
    records = tf.data.TFRecordDataset(str(real_export / "1" / examples.WARM_UP))
    for record in records.as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        request = log.predict_log.request
        name, inputs = examples.decode_request(record)
        assert (request.model_spec.name, name) == (
            "tfvqgen",
            request.model_spec.signature_name,
        )
        assert set(request.inputs) == set(inputs)
        for key, value in examples.example_rows(INFO, inputs, 1).items():
            for read in (tf.make_ndarray(request.inputs[key]), inputs[key]):
                np.testing.assert_array_equal(read, value)
                assert read.dtype == value.dtype
        names.add(name)
    assert names == rules.SIGNATURES


@pytest.mark.parametrize("record", [b"", b"\x32\x05ab", b"\x32\x00", b"\x08\x01"])
def test_a_damaged_warm_up_request_is_refused(record):
    with pytest.raises(Exception, match=r"6|1|parsing"):
        examples.decode_request(record)


def graph_with(op, **attributes):
    graph = meta_graph_pb2.MetaGraphDef().graph_def
    node = graph.library.function.add().node_def.add(name="it", op=op)
    for name, value in attributes.items():
        node.attr[name].b = value
    return graph


@pytest.mark.parametrize(
    ("op", "known"),
    [
        ("MatMul", True),
        ("StatelessWhile", True),
        ("EagerPyFunc", False),
        ("XlaLaunch", False),
        ("Package>Op", False),
        ("NoSuchOperation", False),
    ],
)
def test_operations_that_the_server_lacks_are_found(op, known):
    assert rules.unknown_operations(graph_with(op)) == ([] if known else [op])


def test_parts_that_xla_compiles_are_found():
    assert rules.compiled_parts(graph_with("MatMul", _XlaMustCompile=True)) == ["it"]
    assert rules.compiled_parts(graph_with("MatMul", _XlaMustCompile=False)) == []


def test_signatures_without_a_batch_dimension_are_found():
    signature = meta_graph_pb2.SignatureDef()
    signature.inputs["a"].tensor_shape.dim.add(size=-1)
    signature.outputs["b"].tensor_shape.dim.add(size=3)
    assert rules.batching_faults({"x": signature}) == ["x.b [3]"]


def test_rows_that_differ_are_counted():
    one = {"codes": np.zeros([3, 2], np.int32), "image": np.zeros([3, 2], np.uint8)}
    other = {name: value.copy() for name, value in one.items()}
    other["image"][0] = 1
    assert rules.count_differing_rows(one, other) == 0
    other["codes"][1, 1] = 5
    other["image"][2] = 2
    assert rules.count_differing_rows(one, other) == 2
    bits = {"bits": np.float32([1, 2])}
    assert rules.count_differing_rows(bits, {"bits": np.float32([1, np.nan])}) == 1


def test_answers_to_wrong_requests_are_found():
    def refusing(name, inputs):
        message = "assertion failed: [x is wrong: expected 1. Received: 2]\n more"
        raise tf.errors.InvalidArgumentError(None, None, message)

    assert rules.answer_to(refusing, "generate", {}, "x") is None
    assert rules.answer_to(refusing, "generate", {}, "seed") is not None
    assert rules.answer_to(lambda *_: {}, "generate", {}, "x") == "it was answered"


def test_wrong_rows_have_one_mistake_each_even_without_labels():
    info = {**INFO, "labels": []}
    names = ("labels", "seed", "temperature")
    valid = examples.example_rows(info, names, 2)
    for mistake, _, inputs in examples.wrong_rows(info, names):
        different = [
            name
            for name in names
            if inputs[name].shape != valid[name].shape
            or not np.array_equal(inputs[name], valid[name])
        ]
        assert len(different) == (3 if mistake.endswith("0 rows") else 1) or (
            "257" in mistake
        )
