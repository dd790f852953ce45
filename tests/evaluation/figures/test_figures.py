import dataclasses

import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.evaluation.classifier.drawn_cells import TINY as TINY_CLASSIFIER
from tests.support import TINY
from tfvqgen.evaluation import image_store
from tfvqgen.evaluation.figures import figures
from tfvqgen.evaluation.figures.figures import write_figures
from tfvqgen.evaluation.figures.settings import Settings
from tfvqgen.training.train import train

LABELS = ("Nucleoli", "Rods & rings", "b.c")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    support.make_dataset(
        folder / "data",
        {"train": 8, "validation": 6, "test": 4},
        shape=(16, 16, 3),
        labels=LABELS,
        example_labels=[[0], [1], [0, 1], [], [1], [0], [1], [0]],
    )
    train(
        data_dir=folder / "data",
        workdir=folder / "workdir",
        stage="all",
        steps=4,
        overrides=TINY,
        strategy="one_device",
    )
    return Settings(
        workdir=folder / "workdir", data_dir=folder / "data", num_per_label=3
    )


@pytest.fixture(scope="module")
def paths(settings):
    return write_figures(settings, TINY_CLASSIFIER)


def test_four_figures_lie_in_the_workdir(settings, paths):
    assert [path.name for path in paths] == [
        "figure1_reconstructions.png",
        "figure2_generated.png",
        "figure3_originals.png",
        "figure4_confusions.png",
    ]
    for path in paths:
        assert path.parent == settings.folder
        assert np.asarray(Image.open(path)).std() > 5


def test_figures_with_generated_cells_say_so_within_the_file(paths):
    for path in paths:
        text = Image.open(path).text
        assert text["Software"] == "tfvqgen"
        made_by_a_model = "Made by a model" in text.get("Description", "")
        assert made_by_a_model == (path.name != "figure3_originals.png")


def test_the_same_command_writes_the_same_figures_without_drawing_again(
    settings, paths, monkeypatch
):
    before = [path.read_bytes() for path in paths]

    def refuse(*args, **kwargs):
        raise AssertionError("cells are drawn again")

    monkeypatch.setattr(image_store, "write_shard", refuse)
    again = write_figures(settings, TINY_CLASSIFIER)
    assert [path.read_bytes() for path in again] == before


def test_crops_that_were_learnt_from_are_not_called_unseen(
    settings, tmp_path, monkeypatch
):
    captions = []

    def note(picture, title, caption):
        captions.append(caption)
        return picture

    monkeypatch.setattr(figures, "plate", note)
    for split in ("test", "train"):
        asked = dataclasses.replace(settings, split=split, output=tmp_path)
        write_figures(asked, TINY_CLASSIFIER)
    assert "not trained on" in captions[0] and "not trained on" not in captions[4]
