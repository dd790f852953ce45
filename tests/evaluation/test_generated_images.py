import json

import numpy as np
import pytest

from tests import support
from tests.generators import LABELS, NoiseSource
from tfvqgen.data.schema import open_dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation import generated_images
from tfvqgen.evaluation.generated_images import (
    REQUEST,
    store_cells,
    store_reconstructions,
)
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.generation.request import SamplingParameters

# Three shards of 4 cells in batches of 2; the last shard has fewer.
NUMBER, BATCH = 11, 2
REQUESTED = np.eye(3)[np.arange(NUMBER) % 3]
SAMPLING = SamplingParameters(temperature=0.9, top_p=0.8, guidance=0.5)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(generated_images, "BATCH_SIZE", BATCH)
    monkeypatch.setattr(generated_images, "_SHARD_SIZE", 2 * BATCH)


def store(folder, source=None, **request):
    request = {"seed": 7, "sampling": SAMPLING, "labels": REQUESTED, **request}
    return store_cells(source or NoiseSource(), folder=folder, **request)


def test_stored_cells_are_those_that_the_model_generates(
    tmp_path, tiny_generator, quickly
):
    requested = REQUESTED[:5]
    cells = store(tmp_path / "cells", tiny_generator, labels=requested)
    ones = np.ones(5, np.float32)
    labels, seeds = requested.astype(np.float32), 7 + np.arange(5)
    expected = tiny_generator.generate(
        labels, seeds, 0.9 * ones, 0.8 * ones, 0.5 * ones
    )
    # Where a draw lies on the border between codes, batches of another size may differ.
    same = (cells.read() == expected.image.numpy()).all(axis=(1, 2, 3))
    assert same.sum() >= 4
    np.testing.assert_array_equal(cells.labels, requested > 0)
    dataset = open_dataset(tmp_path / "cells", verify=True)
    split = dataset.split("train")
    assert split.info.label_counts == dict(zip(LABELS, [2, 2, 1], strict=True))
    np.testing.assert_array_equal(split.read_labels(), requested > 0)
    assert "not observed" in dataset.info.credit
    assert dataset.info.provenance["made_by_a_model"]["guidance"] == 0.5


def test_an_interrupted_store_is_continued_after_its_last_complete_shard(tmp_path):
    store(tmp_path / "whole")
    for stop_after, generated in ((2, 2), (4, 4), (None, 7)):
        source = NoiseSource(stop_after=stop_after)
        if stop_after:
            with pytest.raises(KeyboardInterrupt):
                store(tmp_path / "cells", source)
        else:
            store(tmp_path / "cells", source)
        assert source.generated == generated
    whole, resumed = (
        support.digest_of_folder(tmp_path / name) for name in ("whole", "cells")
    )
    assert resumed == whole
    # Stored cells are not generated again.
    source = NoiseSource()
    store(tmp_path / "cells", source)
    assert source.generated == 0
    assert support.digest_of_folder(tmp_path / "cells") == whole


@pytest.mark.parametrize(
    "other",
    [{"seed": 8}, {"sampling": SamplingParameters()}, {"labels": REQUESTED[:5]}],
    ids=["seed", "sampling", "labels"],
)
def test_another_request_replaces_the_stored_cells(tmp_path, other):
    store(tmp_path / "cells")
    store(tmp_path / "cells", **other)
    store(tmp_path / "fresh", **other)
    replaced, fresh = (
        support.digest_of_folder(tmp_path / name) for name in ("cells", "fresh")
    )
    assert replaced == fresh


def test_stored_reconstructions_are_those_of_the_chosen_crops(tmp_path, tiny_generator):
    data = support.make_dataset(tmp_path / "data", {"test": 12}, shape=(16, 16, 3))
    chosen = ImageSet.of_split(data.split("test")).take(np.arange(11, 0, -1))
    stored = store_reconstructions(tiny_generator, chosen, folder=tmp_path / "made")
    expected = tiny_generator.reconstruct(chosen.read()).numpy()
    np.testing.assert_array_equal(stored.read(), expected)
    np.testing.assert_array_equal(stored.labels, chosen.labels)
    request = json.loads((tmp_path / "made" / REQUEST).read_text())
    assert request["kind"] == "reconstructions" and request["number"] == 11


def test_a_folder_with_other_files_is_refused_and_not_changed(tmp_path):
    for name in ("request.json", "train-00000-of-00002.tfrecord", "samples.csv"):
        (tmp_path / name).write_text("{}")
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match=r"contains other files: .*samples\.csv"):
        store(tmp_path)
    assert support.digest_of_folder(tmp_path) == before
