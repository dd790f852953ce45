import collections

import numpy as np
import pytest
from PIL import Image

from data_prep import labels
from data_prep.shards import shards
from data_prep.shards.plan import ShardOptions
from tests import support
from tfvqgen import files
from tfvqgen.data import crops, images, schema
from tfvqgen.errors import DataError, UserError

VOCABULARY = labels.Vocabulary("own", ("a", "b", "c"))
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
NAMES = [["a"], ["b"], ["a", "b"], [], ["z"], ["c", "z"]] * 3


def _options(**changed):
    return ShardOptions(
        **{"vocabulary": VOCABULARY, "splits": SHARES, "num_shards": 2, **changed}
    )


def _write(tmp_path, options=None, *, names=NAMES, output="shards", **crop_options):
    source = tmp_path / "crops"
    if not source.exists():
        support.make_crops(source, names, **crop_options)
    folder = shards.source_of_table(crops.read_crops(source))
    return shards.write_dataset(folder, tmp_path / output, options or _options())


def _contents(dataset):
    """Returns split -> list of (crop id, group, labels, image), in their order."""
    found = {}
    for name in dataset.info.splits:
        split = dataset.split(name)
        numbers = range(split.num_examples)
        groups = [group.decode() for group in schema.read_groups(split)]
        labels = [tuple(np.flatnonzero(row).tolist()) for row in split.read_labels()]
        pixels = schema.read_images(split, numbers)
        rows = zip(split.crop_ids(numbers), groups, labels, pixels, strict=True)
        found[name] = list(rows)
    return found


@pytest.mark.parametrize(
    ("channels", "dtype"), [(3, "uint8"), (4, "uint16"), (8, "uint16")]
)
def test_crops_go_into_shards_exactly(tmp_path, channels, dtype):
    shape = (6, 6, channels)
    _write(tmp_path, shape=shape, dtype=dtype)
    dataset = schema.open_dataset(tmp_path / "shards", verify=True)
    assert dataset.info.image_shape == shape
    assert dataset.info.dtype == dtype
    found = {x[0]: x[1:] for split in _contents(dataset).values() for x in split}
    for index, names in enumerate(NAMES):
        if names == ["z"]:
            assert f"crop{index}" not in found
            continue
        group, ids, image = found[f"crop{index}"]
        assert group == f"group{index // 2}"
        assert [VOCABULARY.labels[i] for i in ids] == [n for n in names if n != "z"]
        np.testing.assert_array_equal(image, support.random_image(shape, dtype, index))


def test_the_description_matches_the_records(tmp_path):
    info, plan = _write(tmp_path)
    dataset = schema.open_dataset(tmp_path / "shards")
    assert dataset.info == info
    assert info.credit == "random noise"
    assert info.pixel_size == 0.32
    assert info.label_policy == "multi_hot"
    assert plan.left_out == {"labels outside the vocabulary": 3}
    assert plan.outside == {"z": 6}
    assert info.provenance["left_out"] == plan.left_out
    contents = _contents(dataset)
    for name, records in contents.items():
        split = info.splits[name]
        assert split.num_examples == len(records)
        assert split.num_groups == len({group for _, group, _, _ in records})
        counts = collections.Counter(i for _, _, ids, _ in records for i in ids)
        assert split.label_counts == {n: counts[k] for k, n in enumerate("abc")}
        sizes = [shard.num_examples for shard in split.shards]
        assert max(sizes) - min(sizes) <= 1
    groups = {name: {r[1] for r in records} for name, records in contents.items()}
    assert all(groups.values())
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))


def test_shards_do_not_depend_on_the_order_of_the_table_or_on_threads(tmp_path):
    _write(tmp_path)
    folder = shards.source_of_table(crops.read_crops(tmp_path / "crops"))
    folder.rows.reverse()
    shards.write_dataset(folder, tmp_path / "again", _options(), num_threads=1)
    digests = support.digest_of_folder(tmp_path / "shards")
    assert support.digest_of_folder(tmp_path / "again") == digests


@pytest.mark.parametrize(
    ("policy", "examples", "counts", "left_out"),
    [
        ("multi_hot", 15, (6, 6, 3), 3),
        ("single_only", 6, (3, 3, 0), 12),
        ("primary", 15, (6, 3, 3), 3),
        ("duplicate", 18, (6, 6, 3), 3),
    ],
)
def test_a_label_policy_gives_these_records(
    tmp_path, policy, examples, counts, left_out
):
    options = _options(label_policy=policy, splits={"train": 1.0})
    info, plan = _write(tmp_path, options, labels_ordered=True)
    assert info.splits["train"].num_examples == examples
    assert tuple(info.splits["train"].label_counts.values()) == counts
    assert sum(plan.left_out.values()) == left_out
    schema.open_dataset(tmp_path / "shards")


def test_rare_labels_leave_the_vocabulary(tmp_path):
    info, plan = _write(tmp_path, _options(min_count=4))
    assert info.labels == ("a", "b")
    assert plan.left_out["labels rarer than min_count"] == 3
    counts = [split.label_counts for split in info.splits.values()]
    assert sum(count["b"] for count in counts) == 6
    contents = _contents(schema.open_dataset(tmp_path / "shards"))
    has_b = {r[0] for records in contents.values() for r in records if 1 in r[2]}
    assert has_b == {f"crop{i}" for i, names in enumerate(NAMES) if "b" in names}


def test_a_crop_is_left_out_as_rare_once_and_only_if_no_record_of_it_is_left(tmp_path):
    options = _options(label_policy="duplicate", min_count=3, splits={"train": 1.0})
    names = [["a"]] * 2 + [["a", "b"], ["b", "c"]]
    info, plan = _write(tmp_path, options, names=names)
    assert info.labels == ("a",)
    assert info.splits["train"].num_examples == 3
    assert plan.left_out == {"labels rarer than min_count": 1}


def test_crops_are_reduced_by_the_mean_of_areas(tmp_path):
    options = _options(size=3, splits={"train": 1.0})
    info, _ = _write(tmp_path, options, shape=(6, 6, 5), dtype="uint16")
    assert info.image_shape == (3, 3, 5)
    assert info.pixel_size == 0.64
    made = _contents(schema.open_dataset(tmp_path / "shards"))
    for crop_id, _, _, image in made["train"]:
        whole = support.random_image((6, 6, 5), "uint16", int(crop_id[4:]))
        means = whole.reshape(3, 2, 3, 2, 5).astype(float).mean(axis=(1, 3))
        assert np.abs(image - means).max() <= 0.51


def _make_sides(folder, *sides):
    """Writes a crop for each side in pixels and in micrometres."""
    folder.mkdir()
    rows = []
    for side, micrometres in sides:
        path, scale = f"{side}.png", micrometres / side
        images.write_image(folder / path, support.random_image((side, side, 1)))
        rows.append(crops.Crop(f"crop{side}", path, ("a",), "g", pixel_size=scale))
    crops.write_crops(folder, rows, channels=["grey"])


@pytest.mark.parametrize(
    ("second", "size", "message"),
    [
        (2.0, None, r"differs from the others: .*\[6, 6, 1\].*\[8, 8, 1\]"),
        (2.0, 3, r"scales.*0\.5 in crop6, 0\.66\d* in crop8"),
        (1.5, 9, "size=9"),
    ],
)
def test_crops_of_different_sizes_or_scales_are_refused(
    tmp_path, second, size, message
):
    _make_sides(tmp_path / "crops", (6, 1.5), (8, second))
    with pytest.raises(UserError, match=message):
        _write(tmp_path, _options(size=size, splits={"train": 1.0}))
    assert not (tmp_path / "shards").exists()


def test_a_changed_image_and_unordered_labels_are_refused(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    with pytest.raises(UserError, match="no order"):
        _write(tmp_path, _options(label_policy="primary"))
    images.write_image(source / "images" / "crop3.png", support.random_image((8, 8, 3)))
    with pytest.raises(DataError, match=r"sha256.*crop3\.png"):
        _write(tmp_path)
    assert not (tmp_path / "shards").exists()


def test_pngs_of_other_programs_become_plain_ones(tmp_path):
    # One with a palette, by which the record's decoder would be misled.
    source = support.make_crops(tmp_path / "crops", [["a"]] * 3)
    path = source / "images" / "crop1.png"
    picture = Image.fromarray(support.random_image((8, 8, 3))).quantize(16)
    picture.save(path)
    expected = np.asarray(picture.convert("RGB"))
    lines = (source / "crops.csv").read_text().splitlines()
    lines[2] = ",".join(lines[2].split(",")[:-1]) + ","
    (source / "crops.csv").write_text("\n".join(lines))
    _write(tmp_path, _options(splits={"train": 1.0}))
    records = _contents(schema.open_dataset(tmp_path / "shards"))["train"]
    (image,) = [image for crop_id, _, _, image in records if crop_id == "crop1"]
    np.testing.assert_array_equal(image, expected)


def test_shards_are_only_replaced_with_overwrite(tmp_path):
    _write(tmp_path)
    before = support.digest_of_folder(tmp_path / "shards")
    with pytest.raises(UserError, match="--overwrite"):
        _write(tmp_path)
    assert support.digest_of_folder(tmp_path / "shards") == before
    folder = shards.source_of_table(crops.read_crops(tmp_path / "crops"))
    shards.write_dataset(
        folder, tmp_path / "shards", _options(num_shards=1), overwrite=True
    )
    names = {path.name for path in (tmp_path / "shards").iterdir()}
    splits = {f"{split}-00000-of-00001.tfrecord" for split in SHARES}
    assert names == {"dataset.json", *splits}


def test_two_runs_do_not_write_to_one_folder(tmp_path):
    with (
        files.exclusive(tmp_path / "shards", "it"),
        pytest.raises(UserError, match="in use by another run"),
    ):
        _write(tmp_path)


def test_files_of_a_killed_run_are_removed(tmp_path):
    (tmp_path / "shards" / ".partial").mkdir(parents=True)
    (tmp_path / "shards" / ".partial" / "train-x.tfrecord").write_text("half")
    (tmp_path / "shards" / ".lock").write_text("")
    # It was killed while it moved its shards, before it wrote dataset.json.
    (tmp_path / "shards" / "train-00000-of-00009.tfrecord").write_text("of others")
    _write(tmp_path)
    names = {path.name for path in (tmp_path / "shards").iterdir()}
    assert not {".partial", ".lock", "train-00000-of-00009.tfrecord"} & names


def test_a_folder_with_other_files_is_never_overwritten(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "train.tfrecord").write_text("precious")
    made = support.make_crops(tmp_path / "crops", NAMES)
    folder = shards.source_of_table(crops.read_crops(made))
    with pytest.raises(UserError, match="other contents"):
        shards.write_dataset(folder, tmp_path / "shards", _options(), overwrite=True)
    assert (tmp_path / "shards" / "train.tfrecord").read_text() == "precious"


def test_an_interrupted_run_keeps_the_previous_shards(tmp_path, monkeypatch):
    _write(tmp_path)
    before = support.digest_of_folder(tmp_path / "shards")
    folder = shards.source_of_table(crops.read_crops(tmp_path / "crops"))
    calls = []

    def interrupt(*args, **kwargs):
        calls.append(1)
        if len(calls) > 10:
            raise KeyboardInterrupt
        return serialize(*args, **kwargs)

    serialize = schema.serialize_example
    monkeypatch.setattr(schema, "serialize_example", interrupt)
    for output in ("shards", "new"):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            shards.write_dataset(folder, tmp_path / output, _options(), overwrite=True)
    assert support.digest_of_folder(tmp_path / "shards") == before
    assert not (tmp_path / "new").exists()
