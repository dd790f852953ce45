import json

import numpy as np
import pytest
import tensorflow as tf

from data_prep.commands import inspect, shard
from data_prep.layouts import read_fields
from data_prep.shards import shards
from tests import support
from tests.data_prep import layout_files, png_writer
from tfvqgen.data import schema
from tfvqgen.errors import UserError


def _shard(folder, output, *flags):
    where = ("--crops", folder, "--output", output)
    support.run_command(shard, *where, "--splits", "train=1.0", *flags)
    return schema.open_dataset(output, verify=True)


def _records(dataset):
    """Returns crop id -> (features, image, labels)."""
    split = dataset.split("train")
    parse, found = split.parser(), {}
    for record in tf.data.TFRecordDataset([str(path) for path in split.paths]):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        values = {
            n: f.bytes_list.value[0] for n, f in features.items() if f.bytes_list.value
        }
        parsed = parse(record)
        names = np.array(dataset.info.labels)[parsed["labels"].numpy() > 0]
        crop_id = values["crop/id"].decode()
        found[crop_id] = values, parsed["image"].numpy(), names.tolist()
    return found


def test_class_folders_become_shards_in_one_command(tmp_path, capsys):
    images = {}
    for k, name in enumerate(("Cytosol/a", "Cytosol/b", "nucleoli/a", "nucleoli/b")):
        path = tmp_path / "crops" / f"{name}.png"
        images[name] = layout_files.write(path, 4, seed=k)
    # The decoder of records does not expect interlacing.
    interlaced = support.random_image((6, 5, 4), seed=9)
    data = png_writer.write_png(interlaced, interlaced=True)
    (tmp_path / "crops" / "Cytosol" / "i.png").write_bytes(data)
    dataset = _shard(tmp_path / "crops", tmp_path / "shards", "--layout", "folder")
    info = dataset.info
    assert info.image_shape == (6, 5, 4)
    assert info.channels == ("red", "green", "blue", "yellow")
    assert (info.dtype, info.pixel_size) == ("uint8", None)
    assert info.splits["train"].label_counts["Cytosol"] == 3
    # One name in two folders may be one cell: they go together.
    assert info.splits["train"].num_groups == 3
    records = _records(dataset)
    for path, image in images.items():
        label, name = path.split("/")
        values, found, names = records[f"{label}_{name}"]
        np.testing.assert_array_equal(found, image)
        assert [n.lower() for n in names] == [label.lower()]
        assert values["crop/group"] == name.encode()
    np.testing.assert_array_equal(records["Cytosol_i"][1], interlaced)
    support.run_command(inspect, "--data", tmp_path / "shards")
    assert "every record as dataset.json says" in capsys.readouterr().out


@pytest.mark.parametrize(("channels", "dtype"), [(2, "uint16"), (5, "uint8")])
def test_images_of_a_manifest_become_shards_exactly(tmp_path, channels, dtype):
    folder = tmp_path / "crops"
    images = [
        layout_files.write(folder / f"{k}.tif", dtype=dtype, seed=k)
        for k in range(channels)
    ]
    columns = ",".join(f"channel:c{k}" for k in range(channels))
    paths = ",".join(f"{k}.tif" for k in range(channels))
    table = (f"id,{columns},labels,group", f"a,{paths},bud neck,plate 1")
    layout_files.write_table(folder / "manifest.csv", *table)
    (folder / "manifest.json").write_text(
        json.dumps({"credit": "mine", "labels_ordered": True, "pixel_size": 0.1})
    )
    (tmp_path / "own.txt").write_text("vacuole\nbud neck\n")
    flags = ("--layout", "manifest", "--vocabulary", tmp_path / "own.txt")
    dataset = _shard(folder, tmp_path / "shards", *flags, "--label_policy", "primary")
    ((values, found, names),) = _records(dataset).values()
    np.testing.assert_array_equal(found, np.concatenate(images, axis=-1))
    assert (names, values["crop/group"]) == (["bud neck"], b"plate 1")
    assert (dataset.info.credit, dataset.info.pixel_size) == ("mine", 0.1)


def test_a_plain_png_is_kept_without_its_other_chunks(tmp_path):
    image = support.random_image((6, 5, 3))
    extra = [(b"tRNS", bytes(6)), (b"tEXt", b"a\0b")]
    path = tmp_path / "Cytosol" / "a.png"
    path.parent.mkdir()
    path.write_bytes(png_writer.write_png(image, [1], extra=extra))
    source = shards.source_of_layout(read_fields(tmp_path))
    assert source.read(source.rows[0]).png == png_writer.write_png(image, [1])


def test_channels_are_selected_with_a_layout_only(tmp_path):
    layout_files.write(tmp_path / "crops" / "Cytosol" / "a.png", 4)
    flags = ("--layout", "folder", "--channels", "green, red,")
    dataset = _shard(tmp_path / "crops", tmp_path / "shards", *flags)
    assert dataset.info.channels == ("green", "red")
    with pytest.raises(UserError, match="--channels without --layout"):
        _shard(tmp_path / "crops", tmp_path / "shards", "--channels", "red")


@pytest.mark.parametrize("inside", ["shards", ""])
def test_shards_are_not_written_among_the_crops(tmp_path, inside):
    before = support.digest_of_folder(support.make_crops(tmp_path / "crops", [["a"]]))
    for given, layout in (("", ("--layout", "folder")), ("crops.csv", ())):
        with pytest.raises(UserError, match="lies in the folder that is read"):
            _shard(tmp_path / "crops" / given, tmp_path / "crops" / inside, *layout)
    assert support.digest_of_folder(tmp_path / "crops") == before
