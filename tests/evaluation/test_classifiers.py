import dataclasses

import numpy as np
import pytest

from tests import support
from tests.evaluation.drawn_cells import TINY, make_dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifiers import (
    REJECTION,
    classifier_split,
    evaluation_classifier,
)
from tfvqgen.training.loop import Loop


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """Returns a workdir and the classifier that was trained in it."""
    workdir = tmp_path_factory.mktemp("workdir")
    with support.eagerly():
        return workdir, evaluation_classifier(dataset, workdir, config=TINY)


def folders(workdir):
    return sorted(path.name for path in (workdir / "classifiers").iterdir())


def changed(**settings):
    return dataclasses.replace(TINY, **settings)


def test_a_stored_classifier_is_not_trained_again(dataset, trained, monkeypatch):
    workdir, first = trained

    def refuse(self):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(Loop, "run", refuse)
    images = support.random_image((2, 16, 16, 3))
    again = evaluation_classifier(dataset, workdir, config=TINY)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(
        again.probabilities(images), first.probabilities(images)
    )
    (name,) = folders(workdir)
    # Version 0.1 had another name for the folder.
    folder = workdir / "classifiers"
    former = folder / name.replace("evaluation", "judge")
    (folder / name).rename(former)
    assert evaluation_classifier(dataset, workdir, config=TINY).fingerprint == (
        first.fingerprint
    )
    former.rename(folder / name)


def test_interrupted_training_is_resumed_exactly(
    dataset, trained, tmp_path, monkeypatch, quickly
):
    chunks = Loop._chunks

    def interrupted(self, bar):
        for step in chunks(self, bar):
            if step > 4:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(Loop, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluation_classifier(dataset, tmp_path, config=changed(checkpoint_every=4))
    monkeypatch.setattr(Loop, "_chunks", chunks)
    resumed = evaluation_classifier(dataset, tmp_path, config=TINY)
    workdir, whole = trained
    assert resumed.fingerprint == whole.fingerprint
    assert folders(tmp_path) == folders(workdir)


def test_other_data_or_settings_give_another_classifier(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(Loop, "run", lambda self: None)
    other = make_dataset(tmp_path / "other", seed=1)
    evaluation_classifier(dataset, tmp_path, config=TINY)
    # These settings do not change the weights.
    evaluation_classifier(dataset, tmp_path, config=changed(log_every=2))
    assert len(folders(tmp_path)) == 1
    evaluation_classifier(dataset, tmp_path, config=TINY, role=REJECTION)
    evaluation_classifier(dataset, tmp_path, config=TINY, evaluated="validation")
    evaluation_classifier(other, tmp_path, config=TINY)
    evaluation_classifier(dataset, tmp_path, config=changed(width=3))
    assert len(folders(tmp_path)) == 5


def test_it_is_trained_neither_on_training_crops_nor_on_evaluated_ones(
    dataset, tmp_path
):
    assert classifier_split(dataset, "test") == "validation"
    assert classifier_split(dataset, "validation") == "test"
    assert classifier_split(dataset, "train") == "validation"
    dataset = support.make_dataset(tmp_path / "data", {"train": 4, "test": 4})
    with pytest.raises(UserError, match="no data to train the classifier on"):
        evaluation_classifier(dataset, tmp_path, config=TINY)


def test_predictions_and_features_of_a_cell_depend_on_this_cell_only(trained):
    _, classifier = trained
    several = support.random_image((6, 16, 16, 3))
    for function in (classifier.probabilities, classifier.features):
        found = function(several)
        np.testing.assert_allclose(found[3:4], function(several[3:4]), atol=1e-5)
    assert found.shape == (6, classifier.size)
    found = classifier.probabilities(several)
    assert found.dtype == np.float32 and found.shape == (6, 3)
    assert (found >= 0).all() and (found <= 1).all()
