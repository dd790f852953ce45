import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep.commands import shard
from tests.generators import LABELS, make_generator
from tests.support import digest_of_folder
from tfvqgen.command_line import subcommand_parser
from tfvqgen.data.crops import read_crops
from tfvqgen.data.dataset_info import read_info
from tfvqgen.data.images import composite, read_image
from tfvqgen.errors import UserError
from tfvqgen.generation.request import Request
from tfvqgen.generation.samples import write_samples

REQUEST = Request(
    label_sets=(("Golgi apparatus",), ("Nucleoli", "Rods & rings"), ()),
    num_per_label=2,
    seed=5,
    guidance=0.5,
)


class Counting:
    """A source that counts the cells that it draws, and may stop in the middle."""

    def __init__(self, source, stop_after=None):
        self.model_info = source.model_info
        self.drawn = 0
        self._source = source
        self._stop_after = stop_after

    def generate(self, labels, *rest):
        if self._stop_after is not None and self.drawn >= self._stop_after:
            raise KeyboardInterrupt
        self.drawn += len(labels)
        return self._source.generate(labels, *rest)


def expected_image(generator, labels, seed):
    row = np.float32([[name in labels for name in LABELS]])
    one = np.ones(1, np.float32)
    return generator.generate(row, np.int64([seed]), one, one, one / 2).image[0]


@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, "uint8"), (4, "uint16"), (5, "uint8")]
)
def test_the_folder_is_a_table_of_crops_with_exact_images(tmp_path, channels, dtype):
    generator = make_generator(channels, dtype)
    sheet = write_samples(generator, REQUEST, tmp_path / "cells", batch_size=4)
    crops = read_crops(tmp_path / "cells" / "samples.csv")
    assert (crops.channels, crops.dtype) == (generator.model_info.channels, dtype)
    assert crops.credit == "random noise"
    assert [(row.labels, row.metadata["seed"]) for row in crops.rows] == [
        (labels, seed) for labels in REQUEST.label_sets for seed in ("5", "6")
    ]
    for row in crops.rows:
        image = read_image(crops.image_path(row), crops.channels)
        wanted = expected_image(generator, row.labels, int(row.metadata["seed"]))
        np.testing.assert_array_equal(image, wanted)
        picture = Image.open(tmp_path / "cells/composites" / f"{row.crop_id}.png")
        np.testing.assert_array_equal(
            np.asarray(picture), composite(image, generator.model_info.display_channels)
        )
        assert row.metadata["generated"] == "true"
        assert row.metadata["model"] == generator.model_info.id
    assert Image.open(sheet).size[1] == 3 * (96 + 4) + 4


def test_every_file_says_that_it_is_generated_and_how(tmp_path):
    generator = make_generator()
    write_samples(generator, REQUEST, tmp_path / "cells")
    for name in ("images", "composites"):
        path = tmp_path / f"cells/{name}/00+02_nucleoli_rods_rings_seed6.png"
        text = Image.open(path).text
        assert "Generated" in text["Description"]
        assert text["Labels"] == "Nucleoli|Rods & rings"
        assert (text["Seed"], text["Guidance"]) == ("6", "0.5")
        assert text["Model"] == generator.model_info.id
        assert "random noise" in text["Credit"]
    text = Image.open(tmp_path / "cells/samples.png").text
    assert text["Seed"] == "5 to 6" and text["Labels"].endswith("any")


def test_an_interrupted_run_goes_on_and_leaves_the_same(tmp_path):
    generator = make_generator()
    write_samples(generator, REQUEST, tmp_path / "whole", batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        write_samples(Counting(generator, 4), REQUEST, tmp_path / "cells", 2)
    assert not (tmp_path / "cells" / "samples.csv").exists()
    rest = Counting(generator)
    write_samples(rest, REQUEST, tmp_path / "cells", 2)
    assert rest.drawn == 2
    assert digest_of_folder(tmp_path / "cells") == digest_of_folder(tmp_path / "whole")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    generator = make_generator()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not empty.*thesis\.txt"):
        write_samples(generator, REQUEST, tmp_path / "full")
    write_samples(generator, REQUEST, tmp_path / "cells")
    before = digest_of_folder(tmp_path / "cells")
    other = Request(label_sets=REQUEST.label_sets, num_per_label=2, seed=6)
    with pytest.raises(UserError, match="differs in seed, guidance"):
        write_samples(generator, other, tmp_path / "cells")
    assert digest_of_folder(tmp_path / "cells") == before
    write_samples(generator, other, tmp_path / "cells", overwrite=True)
    write_samples(generator, other, tmp_path / "other")
    after = digest_of_folder(tmp_path / "cells")
    assert after == digest_of_folder(tmp_path / "other") != before
    with pytest.raises(UserError, match="not empty"):
        write_samples(generator, REQUEST, tmp_path / "full", overwrite=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, PermissionError])
def test_cells_that_could_not_be_removed_are_not_taken_for_new_ones(
    tmp_path, monkeypatch, error
):
    def fail(path, ignore_errors=False):
        if not ignore_errors or error is KeyboardInterrupt:
            raise error

    generator = make_generator()
    write_samples(generator, REQUEST, tmp_path / "cells")
    # Its cells have the same names.
    other = dataclasses.replace(REQUEST, guidance=0.0, temperature=3.0)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(error):
            write_samples(generator, other, tmp_path / "cells", overwrite=True)
    assert not (tmp_path / "cells" / "samples.csv").exists()
    write_samples(generator, other, tmp_path / "cells", overwrite=True)
    write_samples(generator, other, tmp_path / "other")
    assert digest_of_folder(tmp_path / "cells") == digest_of_folder(tmp_path / "other")


def test_a_damaged_request_is_refused_in_words(tmp_path):
    generator = make_generator()
    write_samples(generator, REQUEST, tmp_path / "cells")
    (tmp_path / "cells" / "request.json").write_text("[1]")
    with pytest.raises(UserError, match="another request"):
        write_samples(generator, REQUEST, tmp_path / "cells")


def test_the_folder_is_sharded_like_one_of_crops(tmp_path):
    write_samples(make_generator(), REQUEST, tmp_path / "cells")
    parser = subcommand_parser("data_prep", "", {"shard": shard})
    flags = f"shard --crops {tmp_path}/cells --output {tmp_path}/shards --num_shards 1"
    args = parser.parse_args([*flags.split(), "--splits", "train=1"])
    args.run(args)
    info = read_info(tmp_path / "shards")
    assert info.splits["train"].num_examples == 6
    assert info.splits["train"].label_counts["Nucleoli"] == 2
    assert info.splits["train"].num_groups == 2
    assert info.credit == "random noise"
