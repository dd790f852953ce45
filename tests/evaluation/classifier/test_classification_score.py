import numpy as np
import pytest

from tests.evaluation.classifier.drawn_cells import SPLITS, draw, make_dataset
from tfvqgen.evaluation.classifier.classification_score import classification_score
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.training.stages.classifier import ClassifierConfig

CONFIG = ClassifierConfig(
    steps=160, batch_size=24, width=6, learning_rate=0.01, warmup_steps=10
)


def of_another_label(label, rng):
    """Draws what looks real, but as cells of the next label do."""
    return draw((label + 1) % 3, rng)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    real = make_dataset(folder / "real")
    copied = make_dataset(folder / "copied")
    swapped = make_dataset(folder / "swapped", seed=1, draw=of_another_label)
    return classification_score(
        {
            "real": real.split("train"),
            "copied": copied.split("train"),
            "swapped": swapped.split("train"),
        },
        ImageSet.of_split(real.split("test")),
        folder / "workdir",
        config=CONFIG,
    )


def test_cells_like_the_real_ones_teach_as_much(score):
    assert score["real"]["accuracy"]["value"] > 0.75
    over_real = score["copied"]["accuracy_over_real"]
    assert over_real == {"value": 1.0, "interval": [1.0, 1.0]}
    assert "accuracy_over_real" not in score["real"]


def test_cells_that_show_other_labels_teach_the_wrong_ones(score):
    found = score["swapped"]
    assert found["accuracy_over_real"]["value"] < 0.3
    confusion = np.array(found["confusion"])
    assert confusion.sum() == found["n"] == SPLITS["test"]
    assert found["num_learnt_from"] == SPLITS["train"]
