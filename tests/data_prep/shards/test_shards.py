import collections
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from data_prep import labels
from data_prep.shards import crop_source, record_plan, shards
from tests import support
from tfvqgen.data import crops, images, schema
from tfvqgen.errors import DataError, UserError

VOCABULARY = labels.Vocabulary("own", ("a", "b", "c"))
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
NAMES = [["a"], ["b"], ["a", "b"], [], ["z"], ["c", "z"]] * 5


def _options(**changed):
    return record_plan.ShardOptions(
        **{"vocabulary": VOCABULARY, "splits": SHARES, "num_shards": 2, **changed}
    )


def _write(tmp_path, options=None, *, names=NAMES, output="shards", **crop_options):
    source = tmp_path / "crops"
    if not source.exists():
        support.make_crops(source, names, **crop_options)
    folder = crop_source.source_of_table(crops.read_crops(source))
    return shards.write_dataset(folder, tmp_path / output, options or _options())


def _contents(dataset):
    """Returns split -> list of (crop id, group, labels, image), in their order."""
    found = {}
    for name in dataset.info.splits:
        split = dataset.split(name)
        parse = split.parser()
        found[name] = []
        for record in tf.data.TFRecordDataset([str(path) for path in split.paths]):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            parsed = parse(record)
            found[name].append(
                (
                    features["crop/id"].bytes_list.value[0].decode(),
                    features["crop/group"].bytes_list.value[0].decode(),
                    tuple(np.flatnonzero(parsed["labels"].numpy()).tolist()),
                    parsed["image"].numpy(),
                )
            )
    return found


@pytest.mark.parametrize("dtype", images.DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 8])
def test_crops_go_into_shards_exactly(tmp_path, channels, dtype):
    shape = (6, 6, channels)
    _write(tmp_path, shape=shape, dtype=dtype)
    dataset = schema.open_dataset(tmp_path / "shards", verify=True)
    assert dataset.info.image_shape == shape
    assert dataset.info.dtype == dtype
    found = {
        crop_id: (group, ids, image)
        for split in _contents(dataset).values()
        for crop_id, group, ids, image in split
    }
    for index, names in enumerate(NAMES):
        if names == ["z"]:
            assert f"crop{index}" not in found
            continue
        group, ids, image = found[f"crop{index}"]
        assert group == f"group{index // 2}"
        assert [VOCABULARY.labels[i] for i in ids] == [n for n in names if n != "z"]
        np.testing.assert_array_equal(image, support.random_image(shape, dtype, index))


def test_the_description_is_true(tmp_path):
    info, plan = _write(tmp_path)
    dataset = schema.open_dataset(tmp_path / "shards")
    assert dataset.info == info
    assert info.credit == "random noise"
    assert info.pixel_size == 0.32
    assert info.label_policy == "multi_hot"
    assert plan.left_out == {"labels outside the vocabulary": 5}
    assert plan.outside == {"z": 10}
    assert info.provenance["left_out"] == plan.left_out
    for name, records in _contents(dataset).items():
        split = info.splits[name]
        assert split.num_examples == len(records)
        assert split.num_groups == len({group for _, group, _, _ in records})
        counts = collections.Counter(i for _, _, ids, _ in records for i in ids)
        assert split.label_counts == {n: counts[k] for k, n in enumerate("abc")}
        sizes = [shard.num_examples for shard in split.shards]
        assert max(sizes) - min(sizes) <= 1


def test_splits_never_share_a_group(tmp_path):
    _write(tmp_path)
    contents = _contents(schema.open_dataset(tmp_path / "shards"))
    groups = {name: {group for _, group, _, _ in r} for name, r in contents.items()}
    assert all(groups.values())
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))


def test_shards_do_not_depend_on_the_table_s_order_or_on_threads(tmp_path):
    _write(tmp_path)
    folder = crop_source.source_of_table(crops.read_crops(tmp_path / "crops"))
    folder.rows.reverse()
    shards.write_dataset(folder, tmp_path / "again", _options(), num_threads=1)
    digests = support.digest_of_folder(tmp_path / "shards")
    assert support.digest_of_folder(tmp_path / "again") == digests


def test_shards_are_written_where_the_system_has_no_affinity_of_cores(
    tmp_path, monkeypatch
):
    # As macOS.
    monkeypatch.delattr("os.sched_getaffinity")
    info, _ = _write(tmp_path)
    assert sum(split.num_examples for split in info.splits.values()) == 25


def test_what_is_left_out_and_the_scale_do_not_depend_on_the_table_s_order(tmp_path):
    names = [["a"], ["z"], ["y"], ["b"], []] * 3
    source = support.make_crops(tmp_path / "crops", names)
    text = (source / "crops.csv").read_text()
    # The last crops: not accepted, and of a scale that is as good as the others'.
    text = "0.321,true".join(text.rsplit("0.32,true", 1))
    text = "0.32,false".join(text.rsplit("0.32,true", 1))
    (source / "crops.csv").write_text(text)
    written = []
    for output in ("shards", "again"):
        folder = crop_source.source_of_table(crops.read_crops(source))
        if output == "again":
            folder.rows.reverse()
        shards.write_dataset(folder, tmp_path / output, _options())
        written.append((tmp_path / output / "dataset.json").read_text())
    assert written[0] == written[1]


def test_a_shard_is_a_fair_sample(tmp_path):
    names = [["a"]] * 60 + [["b"]] * 60
    groups = [f"group{i}" for i in range(120)]
    _write(tmp_path, _options(splits={"train": 1.0}), names=names, groups=groups)
    dataset = schema.open_dataset(tmp_path / "shards")
    ids = [ids for _, _, ids, _ in _contents(dataset)["train"]]
    # 30 expected of 60; standard deviation 2.7.
    assert 16 < ids[:60].count((0,)) < 44
    _write(tmp_path, _options(splits={"train": 1.0}, seed=1), output="other")
    other = _contents(schema.open_dataset(tmp_path / "other"))["train"]
    assert [r[0] for r in other] != [r[0] for r in _contents(dataset)["train"]]


def test_crops_that_are_not_accepted_are_left_out(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    text = (source / "crops.csv").read_text().replace("0.32,true", "0.32,false", 2)
    (source / "crops.csv").write_text(text)
    options = _options(splits={"train": 1.0})
    info, plan = _write(tmp_path, options)
    assert info.splits["train"].num_examples == 4
    assert plan.left_out == {"not accepted": 2}


@pytest.mark.parametrize(
    ("policy", "examples", "counts", "left_out"),
    [
        ("multi_hot", 25, (10, 10, 5), 5),
        ("single_only", 10, (5, 5, 0), 20),
        ("primary", 25, (10, 5, 5), 5),
        ("duplicate", 30, (10, 10, 5), 5),
    ],
)
def test_a_policy_makes_so_many_examples(tmp_path, policy, examples, counts, left_out):
    options = _options(label_policy=policy, splits={"train": 1.0})
    info, plan = _write(tmp_path, options, labels_ordered=True)
    assert info.splits["train"].num_examples == examples
    assert tuple(info.splits["train"].label_counts.values()) == counts
    assert sum(plan.left_out.values()) == left_out
    schema.open_dataset(tmp_path / "shards")


def test_the_first_label_is_not_taken_where_labels_have_no_order(tmp_path):
    with pytest.raises(UserError, match="no order"):
        _write(tmp_path, _options(label_policy="primary"))
    assert not (tmp_path / "shards").exists()


def test_rare_labels_leave_the_vocabulary(tmp_path):
    info, plan = _write(tmp_path, _options(min_count=6))
    assert info.labels == ("a", "b")
    assert plan.left_out["labels rarer than min_count"] == 5
    counts = [split.label_counts for split in info.splits.values()]
    assert sum(count["b"] for count in counts) == 10
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
    for crop_id, _, _, image in _contents(schema.open_dataset(tmp_path / "shards"))[
        "train"
    ]:
        whole = support.random_image((6, 6, 5), "uint16", int(crop_id[4:]))
        means = whole.reshape(3, 2, 3, 2, 5).astype(float).mean(axis=(1, 3))
        assert np.abs(image - means).max() <= 0.51


def test_crops_are_not_enlarged(tmp_path):
    with pytest.raises(UserError, match="size=9"):
        _write(tmp_path, _options(size=9))


def test_crops_of_different_sizes_are_named(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    data = images.encode_png(support.random_image((9, 9, 3)))
    (source / "images" / "crop4.png").write_bytes(data)
    text = (source / "crops.csv").read_text()
    rows = [",".join(line.split(",")[:-1] + [""]) for line in text.splitlines()[1:]]
    (source / "crops.csv").write_text("\n".join([text.splitlines()[0], *rows]))
    with pytest.raises(DataError, match=r"does not fit.*(crop4|\[8, 8, 3\])"):
        _write(tmp_path)
    assert not (tmp_path / "shards").exists()


def test_crops_of_different_scales_are_named(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    text = (source / "crops.csv").read_text()
    (source / "crops.csv").write_text(text.replace("0.32", "0.08", 1))
    with pytest.raises(UserError, match=r"0\.08 in crop0, 0\.32 in crop\d"):
        _write(tmp_path)
    assert not (tmp_path / "shards").exists()


def _make_sides(folder, *sides):
    """Writes a crop for each side in pixels and in micrometres."""
    folder.mkdir()
    rows = []
    for side, micrometres in sides:
        path, scale = f"{side}.png", micrometres / side
        images.write_image(folder / path, support.random_image((side, side, 1)))
        rows.append(crops.Crop(f"crop{side}", path, ("a",), "g", pixel_size=scale))
    crops.write_crops(folder, rows, channels=["grey"])


def test_crops_that_size_would_bring_to_different_scales_are_named(tmp_path):
    _make_sides(tmp_path / "crops", (8, 2.0), (6, 1.5))
    with pytest.raises(UserError, match=r"scales.*0\.5 in crop6, 0\.66\d* in crop8"):
        _write(tmp_path, _options(size=3, splits={"train": 1.0}))
    assert not (tmp_path / "shards").exists()


def test_crops_that_size_brings_to_one_scale_fit_together(tmp_path):
    _make_sides(tmp_path / "crops", (8, 1.5), (6, 1.5))
    info, _ = _write(tmp_path, _options(size=3, splits={"train": 1.0}))
    assert (info.splits["train"].num_examples, info.pixel_size) == (2, 0.5)


def test_an_image_that_was_changed_is_named(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    images.write_image(source / "images" / "crop3.png", support.random_image((8, 8, 3)))
    with pytest.raises(DataError, match=r"sha256.*crop3\.png"):
        _write(tmp_path)
    assert not (tmp_path / "shards").exists()


def test_a_missing_image_is_named(tmp_path):
    source = support.make_crops(tmp_path / "crops", [["a"]] * 6)
    (source / "images" / "crop3.png").unlink()
    with pytest.raises(DataError, match=r"no such image.*crop3\.png"):
        _write(tmp_path)


def test_nothing_left_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"no crop is left.*6 labels outside"):
        _write(tmp_path, names=[["z"]] * 6)


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


def test_shards_are_not_overwritten_unasked(tmp_path):
    _write(tmp_path)
    before = support.digest_of_folder(tmp_path / "shards")
    with pytest.raises(UserError, match="--overwrite"):
        _write(tmp_path)
    assert support.digest_of_folder(tmp_path / "shards") == before
    folder = crop_source.source_of_table(crops.read_crops(tmp_path / "crops"))
    shards.write_dataset(
        folder, tmp_path / "shards", _options(num_shards=1), overwrite=True
    )
    names = [path.name for path in (tmp_path / "shards").iterdir()]
    assert sorted(names) == [
        "dataset.json",
        "test-00000-of-00001.tfrecord",
        "train-00000-of-00001.tfrecord",
        "validation-00000-of-00001.tfrecord",
    ]


def test_two_runs_do_not_write_to_one_folder(tmp_path, monkeypatch):
    _write(tmp_path)
    folder = crop_source.source_of_table(crops.read_crops(tmp_path / "crops"))
    serialize, seen = schema.serialize_example, []

    def meanwhile(*args, **kwargs):
        if not seen:
            seen.append(sorted(p.name for p in (tmp_path / "new").iterdir()))
            with pytest.raises(UserError, match="in use by another run"):
                shards.write_dataset(folder, tmp_path / "new", _options())
        return serialize(*args, **kwargs)

    monkeypatch.setattr(schema, "serialize_example", meanwhile)
    shards.write_dataset(folder, tmp_path / "new", _options(), num_threads=1)
    assert seen == [[".lock", ".partial"]]
    digests = support.digest_of_folder(tmp_path / "shards")
    assert support.digest_of_folder(tmp_path / "new") == digests


def test_what_a_killed_run_left_is_no_obstacle(tmp_path):
    (tmp_path / "shards" / ".partial").mkdir(parents=True)
    (tmp_path / "shards" / ".partial" / "train-x.tfrecord").write_text("half")
    (tmp_path / "shards" / ".lock").write_text("")
    _write(tmp_path)
    names = {path.name for path in (tmp_path / "shards").iterdir()}
    assert not {".partial", ".lock", "train-x.tfrecord"} & names


def test_a_run_that_was_killed_before_its_description_is_replaced(tmp_path):
    _write(tmp_path)
    digests = support.digest_of_folder(tmp_path / "shards")
    (tmp_path / "shards" / "dataset.json").unlink()
    (tmp_path / "shards" / "train-00000-of-00009.tfrecord").write_text("of others")
    _write(tmp_path)
    assert support.digest_of_folder(tmp_path / "shards") == digests


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "shards").write_text("")
    with pytest.raises(FileExistsError) as error:
        _write(tmp_path)
    assert error.value.filename == str(tmp_path / "shards")


@pytest.mark.parametrize("name", ["thesis.tex", "mine.tfrecord", "train.tfrecord"])
def test_a_folder_of_somebody_else_is_never_overwritten(tmp_path, name):
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / name).write_text("precious")
    made = support.make_crops(tmp_path / "crops", NAMES)
    folder = crop_source.source_of_table(crops.read_crops(made))
    with pytest.raises(UserError, match="something else"):
        shards.write_dataset(folder, tmp_path / "shards", _options(), overwrite=True)
    assert [p.name for p in (tmp_path / "shards").iterdir()] == [name]


def test_an_interrupted_run_leaves_nothing_and_keeps_what_was_there(
    tmp_path, monkeypatch
):
    _write(tmp_path)
    before = support.digest_of_folder(tmp_path / "shards")
    folder = crop_source.source_of_table(crops.read_crops(tmp_path / "crops"))
    calls = []

    def interrupt(*args, **kwargs):
        calls.append(1)
        if len(calls) > 20:
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


def test_metadata_become_features(tmp_path):
    metadata = {"gene": "TP53", "synthetic": "true"}
    options = _options(splits={"train": 1.0})
    _write(tmp_path, options, metadata=metadata)
    split = schema.open_dataset(tmp_path / "shards").split("train")
    for record in tf.data.TFRecordDataset([str(path) for path in split.paths]):
        features = tf.train.Example.FromString(record.numpy()).features.feature
        assert features["hpa/gene"].bytes_list.value[0] == b"TP53"
        assert features["crop/synthetic"].bytes_list.value[0] == b"true"


def test_the_description_is_plain_json(tmp_path):
    _write(tmp_path)
    value = json.loads((tmp_path / "shards" / "dataset.json").read_text())
    assert value["display"] == {"red": "red", "green": "green", "blue": "blue"}
    assert value["image_shape"] == [8, 8, 3]
    assert set(value["splits"]) == set(SHARES)
