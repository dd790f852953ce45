import json

import numpy as np
import pytest
from PIL import Image

from data_prep.commands import inspect, shard
from data_prep.shards import inspection
from tests import support
from tfvqgen.data import images, schema
from tfvqgen.errors import UserError


def test_counts_are_shown_by_label_and_split(tmp_path):
    info = support.make_dataset(tmp_path, {"train": 10, "test": 4}).info
    rows = [line.split() for line in inspection.count_table(info).splitlines()]
    assert rows[0] == ["label", "train", "test", "all"]
    assert ["a", "4", "2", "6"] in rows and ["groups", "10", "4", "14"] in rows


def test_crops_become_shards_that_pass_inspection(tmp_path, capsys):
    support.make_crops(tmp_path / "crops", [["Cytosol"], ["Midbody"], ["nucleoli"]] * 3)
    flags = ("--crops", tmp_path / "crops", "--output", tmp_path / "shards")
    support.run_command(shard, *flags, "--num_shards", 2)
    printed = capsys.readouterr().out
    assert "left out: 3 crops: labels outside the vocabulary" in printed
    assert "'Midbody' of 3 crops" in printed
    support.run_command(inspect, "--data", tmp_path / "shards")
    printed = capsys.readouterr().out
    assert "random noise" in printed
    assert "every record as dataset.json says" in printed
    assert (tmp_path / "shards" / "contact_sheet.png").is_file()
    support.run_command(shard, *flags, "--overwrite", "--num_shards", 1)
    assert schema.open_dataset(tmp_path / "shards", verify=True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("num_shards", 0), ("splits", "train=2"), ("vocabulary", "none")],
)
def test_wrong_flags_are_refused_before_anything_is_written(tmp_path, flag, value):
    crops = support.make_crops(tmp_path / "crops", [["Cytosol"]] * 6)
    output = tmp_path / "shards"
    flags = ("--crops", crops, "--output", output, f"--{flag}", value)
    with pytest.raises(UserError, match="expected"):
        support.run_command(shard, *flags)
    assert not output.exists()


def test_all_damage_is_named(tmp_path, capsys):
    dataset = support.make_dataset(tmp_path, {"train": 9, "test": 6})
    missing = dataset.split("test").paths[0]
    missing.unlink()
    flipped = dataset.split("train").paths[1]
    data = bytearray(flipped.read_bytes())
    for start in (0, 2):
        data[len(data) * start // 3 + 60] ^= 1
    flipped.write_bytes(data)
    with pytest.raises(UserError, match="3 problems"):
        support.run_command(inspect, "--data", tmp_path)
    printed = capsys.readouterr().err.splitlines()
    lines = [line for line in printed if "damaged: " in line]
    names = (f"{flipped} record 0", f"{flipped} record 2", f"{missing} (the file")
    assert all(name in line for line, name in zip(lines, names, strict=True))
    assert not (tmp_path / "contact_sheet.png").exists()


def test_wrong_counts_are_named(tmp_path, capsys):
    support.make_dataset(tmp_path)
    path = tmp_path / "dataset.json"
    value = json.loads(path.read_text())
    value["splits"]["train"]["label_counts"]["b"] = 9
    value["splits"]["train"]["num_groups"] = 1
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match="2 problems"):
        support.run_command(inspect, "--data", tmp_path)
    printed = capsys.readouterr().err
    assert "'b' says 9, the records have 3" in printed
    assert "num_groups says 1, the records have 10" in printed


def test_a_group_in_two_splits_is_named(tmp_path):
    support.make_dataset(tmp_path, {"train": 3, "test": 3}, num_shards=1)
    path = tmp_path / "dataset.json"
    value = json.loads(path.read_text())
    value["splits"]["test"] = value["splits"]["train"]
    del value["fingerprint"]
    path.write_text(json.dumps(value))
    found = inspection.disagreements(schema.open_dataset(tmp_path))
    message = "group 'train-group{}' is in both train and test"
    assert found == [message.format(i) for i in range(3)]


def test_a_contact_sheet_has_a_row_of_crops_for_each_label(tmp_path):
    shape, labels = (96, 96, 4), [(1,), (0, 1), (0,), ()]
    dataset = support.make_dataset(
        tmp_path / "data", {"train": 4}, shape=shape, example_labels=labels
    )
    inspection.write_contact_sheet(dataset, tmp_path / "sheet.png", per_label=2)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (4 * 100 + 4, 190 + 2 * 100 + 4, 3)
    # Crops with the label alone come first; the last row is of unknown labels.
    expected = [[2, 1], [0, 1], [None, None], [3, None]]
    for (row, column), index in np.ndenumerate(np.array(expected, object)):
        top, left, shown = 4 + 100 * row, 190 + 100 * column, 24
        assert (sheet[top : top + 96, :180] > 200).any(), "the name of the label"
        if index is not None:
            image = support.random_image(shape, seed=index)
            shown = images.composite(image, (0, 1, 2))
        assert (sheet[top : top + 96, left : left + 96] == shown).all()
