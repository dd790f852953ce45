import json

import numpy as np
import pytest

from tests import support
from tests.evaluation.classifier.drawn_cells import LABELS, SPLITS, TINY, make_dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier import training
from tfvqgen.evaluation.classifier.recognition import label_agreement
from tfvqgen.evaluation.classifier.training import train_classifier, train_judge
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.training.loop import Loop
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.stages.classifier import ClassifierConfig


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"))


def folders(workdir):
    return sorted(path.name for path in (workdir / "classifiers").iterdir())


def forbid_training(monkeypatch):
    def refuse(self):
        raise AssertionError("it is trained again")

    monkeypatch.setattr(Loop, "run", refuse)


def test_it_learns_what_labels_look_like(dataset, tmp_path):
    config = ClassifierConfig(
        steps=160, batch_size=24, width=8, learning_rate=0.01, warmup_steps=10
    )
    judge = train_judge(dataset, tmp_path, config=config)
    test = ImageSet.of_split(dataset.split("test"))
    found = label_agreement(judge, {"real": test}, seed=0)
    assert found["real"]["accuracy"]["value"] > 0.85
    assert found["real"]["n"] == SPLITS["test"]
    assert found["labels"] == list(LABELS)
    assert found["judge"]["learnt_from"] == "the split validation"
    (folder,) = folders(tmp_path)
    log = read_metrics(tmp_path / "classifiers" / folder / "metrics.jsonl")
    assert log[-1]["split"] == "validation"
    assert log[-1]["accuracy"] == pytest.approx(found["real"]["accuracy"]["value"])


def test_a_judge_is_trained_once_and_found_again(dataset, tmp_path, monkeypatch):
    images = support.random_image((2, 16, 16, 3))
    first = train_judge(dataset, tmp_path, config=TINY)
    forbid_training(monkeypatch)
    again = train_judge(dataset, tmp_path, config=TINY)
    assert again.fingerprint == first.fingerprint
    np.testing.assert_array_equal(
        again.probabilities(images), first.probabilities(images)
    )
    assert len(folders(tmp_path)) == 1


def test_training_that_was_interrupted_ends_where_it_would_have(
    dataset, tmp_path, monkeypatch
):
    whole = train_judge(dataset, tmp_path / "whole", config=TINY)
    chunks = Loop._chunks
    config = ClassifierConfig(**{**TINY.__dict__, "checkpoint_every": 4})

    def interrupted(self, bar):
        for step in chunks(self, bar):
            if step > 4:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(Loop, "_chunks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_judge(dataset, tmp_path / "parts", config=config)
    monkeypatch.setattr(Loop, "_chunks", chunks)
    resumed = train_judge(dataset, tmp_path / "parts", config=TINY)
    assert resumed.fingerprint == whole.fingerprint
    assert folders(tmp_path / "parts") == folders(tmp_path / "whole")


def test_other_data_or_settings_make_another_classifier(dataset, tmp_path):
    other = make_dataset(tmp_path / "other", seed=1)
    judges = [
        train_judge(dataset, tmp_path, config=TINY),
        train_judge(dataset, tmp_path, config=TINY, what="chooser"),
        train_judge(dataset, tmp_path, config=TINY, judged="validation"),
        train_judge(other, tmp_path, config=TINY),
        train_judge(
            dataset, tmp_path, config=ClassifierConfig(**{**TINY.__dict__, "width": 3})
        ),
    ]
    assert len({judge.fingerprint for judge in judges}) == len(judges)
    assert len(folders(tmp_path)) == len(judges)
    # How often something is written down makes no difference.
    log_more = ClassifierConfig(**{**TINY.__dict__, "log_every": 2})
    assert (
        train_judge(dataset, tmp_path, config=log_more).fingerprint
        == judges[0].fingerprint
    )
    assert len(folders(tmp_path)) == len(judges)


@pytest.mark.parametrize(
    ("judged", "learnt_from"),
    [("test", "validation"), ("validation", "test"), ("train", "validation")],
)
def test_the_judge_learns_neither_from_training_crops_nor_from_those_it_judges(
    dataset, tmp_path, judged, learnt_from, monkeypatch
):
    splits = {}

    def note(learns, held_out, workdir, **how):
        del workdir, how
        splits.update(learns=learns.name, judges=held_out.name)

    monkeypatch.setattr(training, "train_classifier", note)
    train_judge(dataset, tmp_path, judged=judged)
    assert splits == {"learns": learnt_from, "judges": judged}


def test_without_a_split_to_learn_from_there_is_no_judge(tmp_path):
    dataset = support.make_dataset(tmp_path / "data", {"train": 4, "test": 4})
    with pytest.raises(UserError, match="nothing to teach a judge"):
        train_judge(dataset, tmp_path, config=TINY)


def test_a_classifier_learns_from_one_split_alone(dataset, tmp_path):
    trained = train_classifier(
        dataset.split("train"),
        dataset.split("test"),
        tmp_path,
        what="real",
        config=TINY,
    )
    assert trained.trained_on == "the split train"
    assert trained.features(support.random_image((5, 16, 16, 3))).shape == (
        5,
        trained.size,
    )
    (folder,) = folders(tmp_path)
    assert folder.startswith("real-")
    about = json.loads((tmp_path / "classifiers" / folder / "about.json").read_text())
    assert about["learnt_from"]["num_examples"] == SPLITS["train"]


def test_probabilities_and_features_of_a_cell_depend_on_it_alone(dataset, tmp_path):
    judge = train_judge(dataset, tmp_path, config=TINY)
    several = support.random_image((6, 16, 16, 3))
    for asked in (judge.probabilities, judge.features):
        np.testing.assert_allclose(asked(several)[3:4], asked(several[3:4]), atol=1e-5)
    found = judge.probabilities(several)
    assert found.dtype == np.float32 and found.shape == (6, 3)
    assert (found >= 0).all() and (found <= 1).all()
