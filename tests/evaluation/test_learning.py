import pytest

from tests.support import make_dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.learning import require_learnable
from tfvqgen.evaluation.settings import Settings


def require(folder, splits, example_labels=None, **asked):
    dataset = make_dataset(folder, splits, example_labels=example_labels)
    settings = Settings(workdir="w", data_dir=folder, **asked)
    require_learnable(dataset, settings, "train")


def test_cells_are_not_rejected_without_crops_to_teach_a_judge(tmp_path):
    splits = {"train": 3, "validation": 3}
    require(tmp_path / "a", splits, keep_best=0.5)
    with pytest.raises(UserError, match=r"nothing judges cells.*keep_best=0.5"):
        require(tmp_path / "b", splits, split="validation", keep_best=0.5)
    with pytest.raises(UserError, match=r"nothing judges cells.*keep_best=0.5"):
        require(tmp_path / "c", splits, [[], [], []], keep_best=0.5)


def test_features_of_a_judge_are_not_promised_without_one(tmp_path):
    splits = {"train": 3, "validation": 3}
    wanted = {"extractors": ("random", "classifier")}
    require(tmp_path / "a", splits, **wanted)
    with pytest.raises(UserError, match=r"nothing judges cells.*extractor=classifier"):
        require(tmp_path / "b", splits, split="validation", **wanted)


def test_a_score_of_labels_needs_labels_and_crops_that_nothing_has_learnt(tmp_path):
    splits, score = {"train": 3, "test": 3}, {"classification_score": True}
    require(tmp_path / "a", splits, **score)
    with pytest.raises(UserError, match=r"expected another split.*split=train"):
        require(tmp_path / "b", splits, split="train", **score)
    with pytest.raises(UserError, match=r"expected crops with labels.*split=train"):
        require(tmp_path / "c", splits, [[], [], []], **score)
