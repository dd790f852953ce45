"""A trained workdir, and one evaluation of it that several tests read."""

import contextlib
import shutil

import pytest

from tests import support
from tfvqgen.evaluation.settings import EvaluationSettings
from tfvqgen.training.stages.classifier import ClassifierConfig


@pytest.fixture(scope="session")
def workdir(trained_workdir, tmp_path_factory):
    """Returns a copy of the trained workdir to write classifiers to."""
    folder = tmp_path_factory.mktemp("evaluated") / "workdir"
    shutil.copytree(trained_workdir, folder)
    return folder


@contextlib.contextmanager
def quick_evaluations():
    """Runs functions without tracing them, and resamples less often."""
    resamples = (
        "metrics.intervals.RESAMPLES",
        "metrics.feature_distances.FRECHET_RESAMPLES",
        "metrics.feature_distances.KERNEL_RESAMPLES",
        "biology.DISTANCE_RESAMPLES",
        "recognition._PRECISION_RESAMPLES",
    )
    with support.eagerly(), pytest.MonkeyPatch.context() as patch:
        for name in resamples:
            patch.setattr(f"tfvqgen.evaluation.{name}", 20)
        yield


@pytest.fixture
def quickly():
    """Makes evaluations fast, in the same way as that of :func:`report`."""
    with quick_evaluations():
        yield


@pytest.fixture(scope="session")
def settings_of(workdir, tiny_shards):
    """Returns ``settings = settings_of(output, **changes)``."""

    def make(output, **changes):
        return EvaluationSettings(
            **{
                "workdir": workdir,
                "data_dir": tiny_shards,
                "output": output,
                "split": "validation",
                "num_samples": 7,
                "classifier": ClassifierConfig(steps=2, batch_size=4, width=4),
                **changes,
            }
        )

    return make


@pytest.fixture(scope="session")
def report(settings_of, tmp_path_factory):
    """Returns the folder of an evaluation; treat it as read-only."""
    from tfvqgen.evaluation.evaluate import evaluate

    folder = tmp_path_factory.mktemp("report")
    with quick_evaluations():
        assert evaluate(settings_of(folder)) == folder / "index.html"
    return folder
