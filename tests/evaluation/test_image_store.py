import json

import numpy as np
import pytest

from tests import support
from tests.generators import LABELS, make_generator
from tfvqgen.data.schema import open_dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.image_store import (
    REQUEST,
    store_cells,
    store_chosen,
    store_reconstructions,
)
from tfvqgen.generation.request import SamplingParameters

WANTED = np.eye(3)[np.arange(140) % 3]
DRAWING = SamplingParameters(temperature=0.9, top_p=0.8, guidance=0.5)


class Counting:
    """A source that counts the cells it is asked for, and may stop at some point."""

    def __init__(self, generator, stop_after=None):
        self.model_info = generator.model_info
        self.drawn = 0
        self._generator, self._stop_after = generator, stop_after

    def generate(self, labels, *how):
        if self._stop_after is not None and self.drawn >= self._stop_after:
            raise KeyboardInterrupt
        self.drawn += len(labels)
        return self._generator.generate(labels, *how)


def store(folder, source=None, **request):
    request = {"seed": 7, "drawing": DRAWING, **request}
    labels = request.pop("labels", WANTED)
    return store_cells(source or make_generator(), labels, folder=folder, **request)


def images(cells):
    return np.concatenate(list(cells.batches("images")))


@pytest.mark.parametrize(("channels", "dtype"), [(3, "uint8"), (5, "uint16")])
def test_stored_cells_are_those_that_the_model_draws(tmp_path, channels, dtype):
    generator = make_generator(channels, dtype)
    cells = store(tmp_path / "cells", generator)
    ones = np.ones(140, np.float32)
    wanted = generator.generate(
        WANTED.astype(np.float32), 7 + np.arange(140), 0.9 * ones, 0.8 * ones, ones / 2
    )
    # Where a draw lies on the border between codes, batches of another size may differ.
    same = (images(cells) == wanted.image.numpy()).all(axis=(1, 2, 3))
    assert same.mean() > 0.99
    np.testing.assert_array_equal(cells.labels, WANTED > 0)


def test_chosen_images_have_a_store_of_their_own_which_tells_choices_apart(tmp_path):
    cells, about = store(tmp_path / "cells"), make_generator().model_info
    for rows in ([3, 139, 0], [0, 3, 139]):
        chosen = store_chosen(cells.take(rows), about, folder=tmp_path / "chosen")
        np.testing.assert_array_equal(images(chosen), images(cells)[rows])
        np.testing.assert_array_equal(chosen.labels, cells.labels[rows])
        assert chosen.split.num_examples == 3


def test_a_store_is_a_folder_of_shards_that_says_what_it_is(tmp_path):
    store(tmp_path)
    dataset = open_dataset(tmp_path, verify=True)
    split = dataset.split("train")
    assert split.num_examples == 140
    assert split.label_counts == dict(zip(LABELS, [47, 47, 46], strict=True))
    np.testing.assert_array_equal(split.read_labels(), WANTED > 0)
    assert "not observed" in dataset.info.credit
    assert dataset.info.provenance["made_by_a_model"]["guidance"] == 0.5


def test_what_is_stored_is_not_drawn_again(tmp_path):
    store(tmp_path)
    before = support.digest_of_folder(tmp_path)
    again = Counting(make_generator())
    store(tmp_path, again)
    assert again.drawn == 0
    assert support.digest_of_folder(tmp_path) == before


def test_an_interrupted_store_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    store(tmp_path / "whole")
    stopped = Counting(make_generator(), stop_after=130)
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "cells", Counting(make_generator(), stop_after=64))
    with pytest.raises(KeyboardInterrupt):
        store(tmp_path / "cells", Counting(make_generator(), stop_after=128))
    store(tmp_path / "cells", stopped)
    assert stopped.drawn == 12
    whole, resumed = (
        support.digest_of_folder(tmp_path / name) for name in ("whole", "cells")
    )
    assert resumed == whole


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"drawing": SamplingParameters()},
        {"labels": WANTED[::-1]},
        {"labels": WANTED[:20]},
    ],
    ids=["seed", "drawing", "labels", "number"],
)
def test_another_request_replaces_what_is_stored(tmp_path, other):
    store(tmp_path / "cells")
    store(tmp_path / "cells", **other)
    store(tmp_path / "fresh", **other)
    replaced, fresh = (
        support.digest_of_folder(tmp_path / name) for name in ("cells", "fresh")
    )
    assert replaced == fresh


def test_stored_reconstructions_are_those_of_the_chosen_crops(tmp_path):
    data = support.make_dataset(tmp_path / "data", {"test": 40}, shape=(16, 16, 3))
    generator = make_generator()
    chosen = ImageSet.of_split(data.split("test")).take(np.arange(39, 0, -1))
    made = store_reconstructions(generator, chosen, folder=tmp_path / "made")
    expected = generator.reconstruct(images(chosen)).numpy()
    np.testing.assert_array_equal(images(made), expected)
    np.testing.assert_array_equal(made.labels, chosen.labels)
    request = json.loads((tmp_path / "made" / REQUEST).read_text())
    assert request["kind"] == "reconstructions" and request["number"] == 39


@pytest.mark.parametrize("name", ["samples.csv", "dataset.json", "request.json"])
def test_a_folder_with_something_else_is_refused_and_left_as_it_is(tmp_path, name):
    for file in {name, "samples.csv", "train-00000-of-00002.tfrecord"}:
        (tmp_path / file).write_text("{}")
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match="holds something else"):
        store(tmp_path)
    assert support.digest_of_folder(tmp_path) == before


def test_shards_without_a_request_are_nobodys(tmp_path):
    (tmp_path / "train-00000-of-00002.tfrecord").write_text("")
    with pytest.raises(UserError, match=r"holds something else: .*train-00000"):
        store(tmp_path)
