"""The benchmarks of sampling, on a prior that takes no time."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from benchmarks import sampling, sampling_cost
from tests import priors
from tfvqgen import Config


@pytest.fixture
def tiny(monkeypatch):
    """Makes a preset's priors tiny, and leaves the process's threads alone."""
    sizes = dataclasses.asdict(priors.prior_config((2, 2), num_labels=24))
    del sizes["code_shape"], sizes["condition_shape"], sizes["attention"]

    def settled(self, **keys):
        del keys
        return dataclasses.replace(
            self,
            top=dataclasses.replace(self.top, **sizes),
            bottom=dataclasses.replace(self.bottom, **sizes),
        )

    monkeypatch.setattr(Config, "settled", settled)
    import tensorflow as tf

    monkeypatch.setattr(sampling.case, "import_tensorflow", lambda threads: tf)
    for name in ("inter", "intra"):
        monkeypatch.setattr(
            tf.config.threading, f"set_{name}_op_parallelism_threads", lambda n: None
        )


def lines_of(monkeypatch, capsys, benchmark, *flags):
    monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, flags)])
    benchmark.main()
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_sampling_benchmark_prints_a_line_a_case(tiny, monkeypatch, capsys):
    monkeypatch.setattr(sampling, "CASES", ("top4", "bottom4"))
    lines = lines_of(
        monkeypatch,
        capsys,
        sampling,
        *("--batch_size", 2, "--rounds", 3, "--positions", 5, "--cases", "top4"),
        "bottom4",
    )
    assert [(x["level"], x["map_size"]) for x in lines] == [("top", 4), ("bottom", 4)]
    for line in lines:
        assert line["reference_positions_timed"] == 5
        assert line["batch_size"] == 2
        assert line["threads"] == 1
        assert line["ratio"] > 0
        assert line["floor_ratio"] > 1
        assert line["cached_microseconds_per_position"] == pytest.approx(
            1e6 * line["cached_seconds"] / 16, rel=1e-3
        )
    config = priors.prior_config((4, 4), num_labels=24)
    assert lines[0]["operations_per_position"] == round(
        2 * sampling_cost.operations_per_position(config)
    )


def test_timed_positions_are_spread_over_the_map():
    positions = sampling._positions(256, 8)
    assert positions[0] == 0
    assert positions[-1] == 255
    assert len(positions) == 8
    assert np.diff(positions).min() >= 36
