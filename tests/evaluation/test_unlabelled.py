"""Crops that nobody has labelled: the model is unconditional, and so is its report."""

import json

import pytest

from tests import support
from tests.support import TINY
from tfvqgen.evaluation.evaluate import evaluate
from tfvqgen.evaluation.figures.figures import write_figures
from tfvqgen.evaluation.figures.settings import Settings as FigureSettings
from tfvqgen.evaluation.settings import Settings
from tfvqgen.training.train import train


@pytest.mark.parametrize("labels", [(), ("a", "b")], ids=["no vocabulary", "unused"])
def test_unlabelled_crops_are_learnt_measured_and_pictured(tmp_path, labels):
    where = {"workdir": tmp_path / "workdir", "data_dir": tmp_path / "data"}
    support.make_dataset(
        where["data_dir"],
        {"train": 8, "validation": 6, "test": 4},
        shape=(16, 16, 3),
        labels=labels,
        example_labels=[[]] * 8,
    )
    train(**where, stage="all", steps=2, overrides=TINY, strategy="one_device")

    evaluate(Settings(**where, num_samples=3))
    metrics = json.loads((tmp_path / "workdir/report/metrics.json").read_text())
    assert "with labels" in metrics["generation"]["label_agreement"]["skipped"]
    assert list(metrics["generation"]["mean_intensity"]["generated"]) == ["any"]
    assert list(metrics["memorisation"]) == ["random"]

    paths = write_figures(FigureSettings(**where, num_per_label=2))
    assert [path.name[:7] for path in paths] == ["figure1", "figure2", "figure3"]
