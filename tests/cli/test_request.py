import argparse
import subprocess
import sys

import numpy as np
import pytest

from tests import support
from tests.client.loopback import grpc_server, rest_server
from tests.client.served_model import ServedModel
from tests.export import tiny_model
from tfvqgen.cli import request
from tfvqgen.data.crops import SAMPLES_TABLE, read_crops
from tfvqgen.data.images import read_image
from tfvqgen.errors import UserError

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
SERVERS = {"grpc": grpc_server, "rest": rest_server}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two versions: 3 of 8 bits and 4, the newest, of 16."""
    base = tmp_path_factory.mktemp("model")
    for version, dtype in ((3, "uint8"), (4, "uint16")):
        tiny_model.export(base, version, tiny_model.make_about(dtype))
    return base


def run(*words):
    parser = argparse.ArgumentParser()
    request.add_flags(parser)
    request.run(parser.parse_args([str(word) for word in words]))


@pytest.mark.parametrize(("version", "dtype"), [(None, "uint16"), ("stable", "uint8")])
@pytest.mark.parametrize("protocol", SERVERS)
def test_cells_of_a_server_are_written_as_its_model_draws_them(
    model, tmp_path, protocol, version, dtype
):
    about = tiny_model.make_about(dtype)
    words = ["--labels", "Mitochondria|golgi apparatus", "any", "--num_per_label", 3]
    words += ["--seed", 7, "--batch_size", 2, "--timeout", 60, "--protocol", protocol]
    words += ["--temperature", 0.5, "--top_p", 0.75, "--guidance", 1.5]
    words += ["--version", version] if version else []
    served = ServedModel(model, labels={"stable": 3})
    with SERVERS[protocol](served) as port:
        run("--server", f"127.0.0.1:{port}", "--output", tmp_path, *words)
    table = read_crops(tmp_path / SAMPLES_TABLE)
    images = [read_image(tmp_path / x.path, about.channels) for x in table.rows]
    labels = np.repeat([[1, 1, 0], [0, 0, 0]], 3, axis=0)
    how = (np.full(6, x) for x in (0.5, 0.75, 1.5))
    expected = tiny_model.expected_cells(about, labels, [7, 8, 9] * 2, *how)
    np.testing.assert_array_equal(images, expected.image)
    assert [x.labels for x in table.rows] == [about.labels[:2]] * 3 + [()] * 3


def test_what_the_server_could_not_do_is_refused(model, tmp_path):
    with rest_server(model) as port:
        words = ["--server", f"127.0.0.1:{port}", "--protocol", "rest"]
        words += ["--output", tmp_path / "new"]
        with pytest.raises(UserError, match=r"batch_size is out.*1 to 40"):
            run(*words, "--batch_size", 41)
        with pytest.raises(UserError, match="unknown label"):
            run(*words, "--labels", "Nucleolus")
    assert not (tmp_path / "new").exists()


def test_rest_says_nothing_of_tensorflows_start(model, tmp_path):
    with rest_server(model) as port:
        result = subprocess.run(
            [sys.executable, "-m", "tfvqgen", "request", "--protocol", "rest"]
            + ["--server", f"127.0.0.1:{port}", "--output", str(tmp_path)]
            + ["--num_per_label", "1", "--labels", "any"],
            cwd=support.ROOT,
            env={k: v for k, v in support.environment().items() if k != LOG_LEVEL},
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    lines = result.stderr.replace("\r", "\n").splitlines()
    assert {line.partition(":")[0] for line in lines if line} <= {"cells"}
