import numpy as np
import pytest
from PIL import Image

from tests import support
from tests.evaluation.classifier.drawn_cells import TINY as TINY_CLASSIFIER
from tests.training.test_run import TINY
from tfvqgen.errors import UserError
from tfvqgen.evaluation import image_store
from tfvqgen.evaluation.figures.figures import Settings, write_figures
from tfvqgen.training.run import train

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


@pytest.mark.parametrize("wrong", [{"num_per_label": 0}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match="out of range"):
        Settings(workdir="w", data_dir="d", **wrong)
