import json

import pytest

from tests import support
from tfvqgen.data import dataset_info, schema
from tfvqgen.errors import DataError, UserError


def _change(folder, change):
    path = folder / "dataset.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def _set(*keys, to):
    def change(value):
        for key in keys[:-1]:
            value = value[key]
        value[keys[-1]] = to

    return change


def _delete(key):
    return lambda value: value.pop(key)


FIELDS = (
    "format",
    "image_shape",
    "dtype",
    "channels",
    "display",
    "pixel_size",
    "labels",
    "label_policy",
    "credit",
    "splits",
)


def test_a_description_comes_back_as_it_was(tmp_path):
    info = support.make_dataset(tmp_path, {"train": 5, "test": 2}).info
    (tmp_path / "again").mkdir()
    dataset_info.write_info(tmp_path / "again", info)
    assert dataset_info.read_info(tmp_path / "again") == info
    assert json.loads((tmp_path / "dataset.json").read_text())["splits"]["test"][
        "label_counts"
    ] == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_named(tmp_path, field):
    support.make_dataset(tmp_path)
    _change(tmp_path, _delete(field))
    with pytest.raises(DataError, match=rf"dataset\.json.*{field}.*missing"):
        schema.open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), "other-1"),
        (("image_shape",), [8, 8]),
        (("image_shape",), [8, 8, 4]),
        (("image_shape",), [8, 0, 3]),
        (("image_shape",), [8, 8.0, 3]),
        (("dtype",), "float32"),
        (("channels",), ["a", "a", "b"]),
        (("channels",), "abc"),
        (("display",), {"red": "red", "green": None}),
        (("display", "red"), "violet"),
        (("pixel_size",), 0),
        (("pixel_size",), True),
        (("labels",), ["a", "b", "a"]),
        (("labels",), [1, 2, 3]),
        (("label_policy",), "any"),
        (("credit",), 1),
        (("splits",), {}),
        (("splits", "valid"), {}),
        (("splits", "train", "num_examples"), 9),
        (("splits", "train", "num_groups"), -1),
        (("splits", "train", "label_counts"), {"a": 1}),
        (("splits", "train", "label_counts", "a"), 11),
        (("splits", "train", "shards"), {}),
        (("splits", "train", "shards", 0, "path"), "../a.tfrecord"),
        (("splits", "train", "shards", 0, "path"), "/a.tfrecord"),
        (("splits", "train", "shards", 0, "sha256"), "abc"),
        (("splits", "train", "shards", 0, "bytes"), "1"),
    ],
)
def test_a_wrong_field_is_named(tmp_path, keys, value):
    support.make_dataset(tmp_path)
    _change(tmp_path, _set(*keys, to=value))
    with pytest.raises(DataError, match=rf"dataset\.json.*{keys[0]}"):
        schema.open_dataset(tmp_path)


@pytest.mark.parametrize(
    ("keys", "name"),
    [
        (("splits", "train"), "splits.train"),
        (("splits", "train", "shards", 1), r"splits.train.shards\[1\]"),
    ],
)
def test_what_should_be_an_object_is_named(tmp_path, keys, name):
    support.make_dataset(tmp_path)
    _change(tmp_path, _set(*keys, to=[]))
    with pytest.raises(DataError, match=f"expected {name} to be an object"):
        schema.open_dataset(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(DataError, match="expected all of it to be an object"):
        schema.open_dataset(tmp_path)


@pytest.mark.parametrize(
    "change", [_set("labels", 1, to="B"), _set("pixel_size", to=0.33)]
)
def test_a_flipped_bit_in_what_models_learn_from_is_told(tmp_path, change):
    support.make_dataset(tmp_path, labels=("a", "b"), example_labels=[(0,)] * 10)

    def change_counts_too(value):
        change(value)
        for split in value["splits"].values():
            split["label_counts"] = dict(
                zip(value["labels"], split["label_counts"].values(), strict=True)
            )

    _change(tmp_path, change_counts_too)
    with pytest.raises(DataError, match=r"damaged dataset\.json.*fingerprint"):
        schema.open_dataset(tmp_path)


def test_the_description_of_another_program_needs_no_fingerprint(tmp_path):
    info = support.make_dataset(tmp_path).info
    _change(tmp_path, _delete("fingerprint"))
    assert dataset_info.read_info(tmp_path) == info


@pytest.mark.parametrize("value", ["half \ud800", float("nan"), float("inf")])
def test_half_letters_and_numbers_that_are_none_are_refused(tmp_path, value):
    support.make_dataset(tmp_path)
    _change(tmp_path, _set("provenance", to={"note": value}))
    with pytest.raises(DataError, match="whole letters and finite numbers"):
        dataset_info.read_info(tmp_path)


def test_what_people_edit_is_no_damage(tmp_path):
    support.make_dataset(tmp_path)
    _change(tmp_path, _set("credit", to="somebody"))
    _change(tmp_path, _set("display", "red", to=None))
    assert schema.open_dataset(tmp_path).info.credit == "somebody"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', "\xff"])
def test_what_is_not_a_description_is_named(tmp_path, text):
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset\.json"):
        schema.open_dataset(tmp_path)


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(DataError, match=f"dataset.json.*Received: {tmp_path}"):
        schema.open_dataset(tmp_path)


def test_a_split_that_is_not_there_is_named(tmp_path):
    dataset = support.make_dataset(tmp_path, {"train": 4, "validation": 0})
    for name in ("validation", "test"):
        with pytest.raises(UserError, match=f"expected one of train.*{name}"):
            dataset.split(name)


def test_the_fingerprint_is_of_what_a_model_learns_from(tmp_path):
    first = support.make_dataset(tmp_path / "a").fingerprint()
    assert support.make_dataset(tmp_path / "b").fingerprint() == first
    _change(tmp_path / "b", _set("credit", to="someone else"))
    assert schema.open_dataset(tmp_path / "b").fingerprint() == first
    _change(tmp_path / "b", _set("channels", to=["blue", "green", "red"]))
    _change(tmp_path / "b", _delete("fingerprint"))
    assert schema.open_dataset(tmp_path / "b").fingerprint() != first
    other = support.make_dataset(tmp_path / "c", {"train": 11})
    assert other.fingerprint() != first


@pytest.mark.parametrize(
    ("channels", "shown"),
    [
        (["red", "green", "blue", "yellow"], ["red", "green", "blue"]),
        (["blue", "yellow", "Green", "red"], ["red", "Green", "blue"]),
        (["nucleus", "protein", "ER"], [None, "protein", "nucleus"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
        (["a", "b"], ["a", "b", None]),
        (["a"], ["a", "a", "a"]),
    ],
)
def test_channels_are_shown_by_name_or_else_by_order(channels, shown):
    assert list(dataset_info.default_display(channels).values()) == shown
