import numpy as np
import pytest

from tests.evaluation.classifier.drawn_cells import SPLITS, draw, make_dataset
from tfvqgen.evaluation.classifier.classification_score import classification_score
from tfvqgen.evaluation.classifier.config import ClassifierConfig
from tfvqgen.evaluation.image_sets import ImageSet

CONFIG = ClassifierConfig(steps=90, batch_size=24, width=6, validate_every=90)


def of_any_label(label, rng):
    """Draws what looks real but has nothing to do with the label."""
    del label
    return draw(rng.integers(3), rng)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    real = make_dataset(folder / "real")
    copied = make_dataset(folder / "copied")
    mixed_up = make_dataset(folder / "mixed_up", seed=1, draw=of_any_label)
    return classification_score(
        {
            "real": real.split("train"),
            "copied": copied.split("train"),
            "mixed_up": mixed_up.split("train"),
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


def test_cells_that_do_not_show_their_labels_teach_little(score):
    found = score["mixed_up"]
    assert found["accuracy_over_real"]["value"] < 0.8
    confusion = np.array(found["confusion"])
    assert confusion.sum() == found["n"] == SPLITS["test"]
    assert found["num_learnt_from"] == SPLITS["train"]
