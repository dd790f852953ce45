import json

import numpy as np
import pytest

from tfvqgen.errors import DataError
from tfvqgen.training.metrics_log import MetricsLog, read_metrics

LINE = {"step": 10, "split": "train", "loss": 0.5, "psnr": None}


def _write(folder, *lines):
    path = folder / "metrics.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_metrics_are_read_as_they_were_written(tmp_path):
    lines = [LINE, {**LINE, "step": 20, "loss": 3}]
    assert read_metrics(_write(tmp_path, *map(json.dumps, lines))) == lines
    assert read_metrics(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "[1]",
        json.dumps({**LINE, "loss": "x"}),
        json.dumps({**LINE, "loss": [1.0]}),
        json.dumps({**LINE, "step": "10"}),
        json.dumps({"step": 1}),
    ],
)
def test_a_damaged_line_is_named_unless_it_is_the_last(tmp_path, line):
    good = json.dumps(LINE)
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 2"):
        read_metrics(_write(tmp_path, good, line, good))
    assert read_metrics(_write(tmp_path, good, line)) == [LINE]


def test_metrics_are_written_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    log = MetricsLog(tmp_path, step=0)
    log.write(10, "train", {"loss": 0.5, "psnr": float("inf")})
    log.write_image(10, "samples", np.zeros((2, 2, 3), np.uint8))
    assert read_metrics(tmp_path / "metrics.jsonl") == [LINE]
    assert not (tmp_path / "tensorboard").exists()
