import argparse
import dataclasses

import numpy as np
import pytest
from PIL import Image

from data_prep.commands import shard
from tests.generators import LABELS, NoiseSource
from tests.support import digest_of_folder
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


@pytest.mark.parametrize(("channels", "dtype"), [(4, "uint16"), (5, "uint8")])
def test_the_folder_is_a_table_of_crops_with_exact_images(tmp_path, channels, dtype):
    source = NoiseSource(channels, dtype)
    info = source.model_info
    sheet = write_samples(source, REQUEST, tmp_path / "cells", batch_size=4)
    crops = read_crops(tmp_path / "cells" / "samples.csv")
    assert (crops.channels, crops.dtype) == (info.channels, dtype)
    assert crops.credit == "random noise"
    assert [(row.labels, row.metadata["seed"]) for row in crops.rows] == [
        (labels, seed) for labels in REQUEST.label_sets for seed in ("5", "6")
    ]
    for row in crops.rows:
        image = read_image(crops.image_path(row), crops.channels)
        labels = [name in row.labels for name in LABELS]
        expected = source.image(labels, int(row.metadata["seed"]), 1, 1, 0.5)
        np.testing.assert_array_equal(image, expected)
        shown = Image.open(tmp_path / "cells/composites" / f"{row.crop_id}.png")
        np.testing.assert_array_equal(shown, composite(image, info.display_channels))
        assert row.metadata["generated"] == "true"
        assert row.metadata["model"] == info.id
    assert Image.open(sheet).size[1] == 3 * (96 + 4) + 4


def test_the_metadata_of_every_file_says_that_it_is_generated_and_how(tmp_path):
    source = NoiseSource()
    write_samples(source, REQUEST, tmp_path / "cells")
    for name in ("images", "composites"):
        path = tmp_path / f"cells/{name}/00+02_nucleoli_rods_rings_seed6.png"
        text = Image.open(path).text
        assert "Generated" in text["Description"]
        assert text["Labels"] == "Nucleoli|Rods & rings"
        assert (text["Seed"], text["Guidance"]) == ("6", "0.5")
        assert text["Model"] == source.model_info.id
        assert "random noise" in text["Credit"]
    text = Image.open(tmp_path / "cells/samples.png").text
    assert text["Seed"] == "5 to 6" and text["Labels"].endswith("any")


def test_an_interrupted_run_continues_and_leaves_the_same_folder(tmp_path):
    write_samples(NoiseSource(), REQUEST, tmp_path / "whole", batch_size=2)
    with pytest.raises(KeyboardInterrupt):
        write_samples(NoiseSource(stop_after=4), REQUEST, tmp_path / "cells", 2)
    assert not (tmp_path / "cells" / "samples.csv").exists()
    rest = NoiseSource()
    write_samples(rest, REQUEST, tmp_path / "cells", 2)
    assert rest.generated == 2
    assert digest_of_folder(tmp_path / "cells") == digest_of_folder(tmp_path / "whole")


def test_a_folder_with_other_files_is_not_changed(tmp_path):
    source = NoiseSource()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"not empty.*thesis\.txt"):
            write_samples(source, REQUEST, tmp_path / "full", overwrite=overwrite)
    write_samples(source, REQUEST, tmp_path / "cells")
    before = digest_of_folder(tmp_path / "cells")
    other = Request(label_sets=REQUEST.label_sets, num_per_label=2, seed=6)
    with pytest.raises(UserError, match="differs in seed, guidance"):
        write_samples(source, other, tmp_path / "cells")
    assert digest_of_folder(tmp_path / "cells") == before
    (tmp_path / "cells" / "request.json").write_text("[1]")
    with pytest.raises(UserError, match="another request"):
        write_samples(source, REQUEST, tmp_path / "cells")


def test_cells_of_another_request_are_replaced_if_the_user_says_so(tmp_path):
    source = NoiseSource()
    write_samples(source, REQUEST, tmp_path / "cells")
    # The cells of this request have the same names.
    other = dataclasses.replace(REQUEST, guidance=0.0, temperature=3.0)
    write_samples(source, other, tmp_path / "cells", overwrite=True)
    write_samples(source, other, tmp_path / "other")
    assert digest_of_folder(tmp_path / "cells") == digest_of_folder(tmp_path / "other")


def test_the_folder_can_be_sharded(tmp_path):
    write_samples(NoiseSource(), REQUEST, tmp_path / "cells")
    parser = argparse.ArgumentParser()
    shard.add_flags(parser)
    flags = f"--crops {tmp_path}/cells --output {tmp_path}/shards --num_shards 1"
    shard.run(parser.parse_args([*flags.split(), "--splits", "train=1"]))
    info = read_info(tmp_path / "shards")
    assert info.splits["train"].num_examples == 6
    assert info.splits["train"].label_counts["Nucleoli"] == 2
    assert info.splits["train"].num_groups == 2
    assert info.credit == "random noise"
