import argparse

import numpy as np
import pytest

from tests.generators import LABELS
from tfvqgen.cli import request
from tfvqgen.data.crops import SAMPLES_TABLE, read_crops
from tfvqgen.data.images import read_image
from tfvqgen.errors import UserError


def run(serving, protocol, *words):
    parser = argparse.ArgumentParser()
    request.add_flags(parser)
    address = f"127.0.0.1:{serving.ports[protocol]}"
    words = ["--server", address, "--protocol", protocol, *words]
    request.run(parser.parse_args([str(word) for word in words]))


@pytest.mark.parametrize("protocol", ["grpc", "rest"])
def test_cells_of_a_server_are_written_as_its_model_draws_them(
    serving, tmp_path, protocol
):
    words = ["--labels", "Golgi apparatus|nucleoli", "any", "--num_per_label", 2]
    words += ["--seed", 7, "--batch_size", 2, "--version", "stable"]
    words += ["--temperature", 0.5, "--top_p", 0.75, "--guidance", 1.5]
    run(serving, protocol, "--output", tmp_path, *words)
    table = read_crops(tmp_path / SAMPLES_TABLE)
    images = [read_image(tmp_path / x.path, table.channels) for x in table.rows]
    numbers = {"temperature": 0.5, "top_p": 0.75, "guidance": 1.5}
    numbers = {name: np.full(2, value, np.float32) for name, value in numbers.items()}
    expected = [
        serving.model(
            "generate_multilabel", {"labels": [labels] * 2, "seed": [7, 8], **numbers}
        )["image"]
        for labels in ([1, 1, 0], [0, 0, 0])
    ]
    np.testing.assert_array_equal(images, np.concatenate(expected))
    assert [set(x.labels) for x in table.rows] == [set(LABELS[:2])] * 2 + [set()] * 2


def test_a_request_that_the_server_cannot_answer_leaves_no_folder(serving, tmp_path):
    output = tmp_path / "new"
    with pytest.raises(UserError, match=r"out of range.*1 to 256"):
        run(serving, "rest", "--output", output, "--batch_size", 257)
    with pytest.raises(UserError, match="unknown label"):
        run(serving, "rest", "--output", output, "--labels", "Nucleolus")
    assert not output.exists()
