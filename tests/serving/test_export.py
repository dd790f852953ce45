import dataclasses
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from tests import support
from tests.generators import make_generator
from tests.serving.loopback import grpc_server, rest_server
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.request import Request
from tfvqgen.generation.samples import write_samples
from tfvqgen.serving import export as export_module
from tfvqgen.serving.client import Server
from tfvqgen.serving.export import export_generator
from tfvqgen.serving.open_source import open_source
from tfvqgen.serving.saved_model import SavedModel
from tfvqgen.serving.verification.wire import decode_request, encode_request
from tfvqgen.serving.verify import verify

# One process makes the export, which takes long.
pytestmark = pytest.mark.xdist_group("export")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Returns a folder of one version."""
    folder = tmp_path_factory.mktemp("export")
    assert export_generator(make_generator(), folder) == folder / "1"
    return folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def quick(monkeypatch):
    """Leaves the trial out, which starts a process."""
    monkeypatch.setattr(export_module, "_try", lambda folder: None)


def test_versions_count_up_and_are_never_overwritten(tmp_path, quick):
    generator = make_generator()
    export_generator(generator, tmp_path, version=7)
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match="the version exists"):
        export_generator(generator, tmp_path, version=7)
    assert support.digest_of_folder(tmp_path) == before
    with pytest.raises(UserError, match="out of range"):
        export_generator(generator, tmp_path, version=0)
    assert export_generator(generator, tmp_path).name == "7", "of the same models"
    assert support.digest_of_folder(tmp_path) == before
    other = Generator(
        dataclasses.replace(generator.about, credit="another"),
        generator.autoencoder,
        generator.top,
        generator.bottom,
    )
    assert export_generator(other, tmp_path).name == "8"
    assert names(tmp_path) == ["7", "8"]
    assert SavedModel(tmp_path).path.name == "8"


def test_what_goes_wrong_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    def fail(folder):
        assert folder.parent == tmp_path and folder.name.startswith(".")
        raise OSError(28, "No space left on device")

    (tmp_path / ".exporting-killed").mkdir()
    monkeypatch.setattr(export_module, "_try", fail)
    with pytest.raises(OSError, match="No space"):
        export_generator(make_generator(), tmp_path)
    assert names(tmp_path) == []


def test_an_export_has_what_people_and_servers_need(base):
    about = make_generator().about
    folder = base / "1"
    assert read_json(folder / "assets/about.json")["id"] == about.id
    assert (folder / "assets/labels.txt").read_text().splitlines() == list(about.labels)
    card = (folder / "assets/model_card.md").read_text()
    for words in ("random noise", "not evidence", about.id, "Golgi apparatus"):
        assert words in card
    log = prediction_log_pb2.PredictionLog()
    records = list(
        tf.data.TFRecordDataset(
            str(folder / "assets.extra/tf_serving_warmup_requests")
        ).as_numpy_iterator()
    )
    asked = []
    for record in records:
        log.ParseFromString(record)
        asked.append(log.predict_log.request.model_spec.signature_name)
    assert len(asked) == len(set(asked)) == 12


def test_each_weight_is_there_once_and_nothing_that_only_training_needs(base):
    index = tf.train.load_checkpoint(str(base / "1/variables/variables"))
    stored = [
        tuple(shape)
        for name, shape in index.get_variable_to_shape_map().items()
        if not name.startswith("_CHECKPOINTABLE")
    ]
    generator = make_generator()
    codebooks = [
        generator.autoencoder.top_quantizer.embeddings,
        generator.autoencoder.bottom_quantizer.embeddings,
    ]
    models = (generator.autoencoder, generator.top, generator.bottom)
    trained = [x for model in models for x in model.trainable_weights]
    expected = {id(x): tuple(x.shape) for x in [*trained, *codebooks]}
    assert sorted(stored) == sorted(expected.values())


def test_a_good_export_passes_every_check(base):
    found = verify(base / "1")
    failed = {x["name"]: x["detail"] for x in found["checks"] if not x["ok"]}
    assert not failed
    assert found["figures"]["load_seconds"] > 0


@pytest.mark.parametrize("fault", ["flip", "cut", "about"])
def test_a_damaged_export_is_named_and_not_used(base, tmp_path, fault):
    shutil.copytree(base / "1", tmp_path / "1")
    weights = tmp_path / "1/variables/variables.data-00000-of-00001"
    if fault == "flip":
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 255
        weights.write_bytes(data)
    elif fault == "cut":
        os.truncate(weights, 100)
    else:
        (tmp_path / "1/assets/about.json").write_text("{}")
    with pytest.raises(DataError, match="expected"):
        SavedModel(tmp_path)
    if fault != "about":
        found = verify(tmp_path / "1", only_warm_up=True)
        assert not all(check["ok"] for check in found["checks"])


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(UserError, match="no export: expected"):
        SavedModel(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        open_source(tmp_path)
    tf.saved_model.save(tf.Module(), str(tmp_path / "1"))
    with pytest.raises(DataError, match="SavedModel of something else"):
        open_source(tmp_path)


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_a_server_gives_the_cells_of_the_workdir(base, tmp_path, protocol):
    generator = make_generator()
    request = Request(label_sets=(("Nucleoli",), ()), num_per_label=3)
    write_samples(generator, request, tmp_path / "workdir")
    serve = {"grpc": grpc_server, "rest": rest_server}[protocol]
    with serve(base) as port, Server(f"localhost:{port}", protocol) as server:
        assert server.about == generator.about
        write_samples(server, request, tmp_path / "served", batch_size=4)
    tables = [
        (tmp_path / x / "samples.csv").read_bytes() for x in ("workdir", "served")
    ]
    assert tables[0] == tables[1]


def test_a_recorded_request_is_what_the_server_reads():
    rng = np.random.default_rng(0)
    inputs = {
        "seed": rng.integers(0, 2**62, size=3),
        "image": rng.integers(0, 2**16, size=(3, 2, 2, 1)).astype(np.uint16),
    }
    record = encode_request("tfvqgen", "complete", inputs)
    log = prediction_log_pb2.PredictionLog.FromString(record)
    read = log.predict_log.request
    assert read.model_spec.name == "tfvqgen"
    assert read.model_spec.signature_name == "complete"
    for name, value in inputs.items():
        np.testing.assert_array_equal(tf.make_ndarray(read.inputs[name]), value)
    name, decoded = decode_request(log.SerializeToString())
    assert name == "complete" and decoded.keys() == inputs.keys()
    for key, value in inputs.items():
        np.testing.assert_array_equal(decoded[key], value)
    for end in range(len(record)):
        with pytest.raises(ValueError, match=r"cut short|field"):
            decode_request(record[:end])


def test_mistakes_on_the_command_line_are_one_line_and_status_2(tmp_path):
    result = subprocess.run(
        [sys.executable, "export.py", f"--workdir={tmp_path}", "--export_dir=x"],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert str(tmp_path) in result.stderr
    assert not (support.ROOT / "x").exists()
