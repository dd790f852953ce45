import json

import pytest

from tests import support
from tfvqgen.data import codes, dataset_info, schema
from tfvqgen.data.tfrecords import shard_name, write_shard
from tfvqgen.errors import DataError, UserError


@pytest.fixture(scope="module")
def info(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return support.make_dataset(folder, {"train": 5, "test": 2}).info


@pytest.fixture
def folder(tmp_path, info):
    dataset_info.write_info(tmp_path, info)
    return tmp_path


def _change(path, *keys, to):
    """Changes a value of a JSON file; None deletes it."""
    value = found = json.loads(path.read_text())
    for key in keys[:-1]:
        found = found[key]
    if to is None:
        del found[keys[-1]]
    else:
        found[keys[-1]] = to
    path.write_text(json.dumps(value))


def test_a_description_comes_back_as_it_was(folder, info):
    assert dataset_info.read_info(folder) == info
    splits = json.loads((folder / "dataset.json").read_text())["splits"]
    assert splits["test"]["label_counts"] == {"a": 1, "b": 1, "c": 0}


@pytest.mark.parametrize("field", ["image_shape", "credit"])
def test_a_missing_field_is_named(folder, field):
    _change(folder / "dataset.json", field, to=None)
    with pytest.raises(DataError, match=rf"dataset\.json: {field} is missing"):
        dataset_info.read_info(folder)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("format",), "other-1"),
        (("image_shape",), [8, 8, 4]),
        (("image_shape",), [8, 0, 3]),
        (("dtype",), "float32"),
        (("channels",), ["a", "a", "b"]),
        (("display", "red"), "violet"),
        (("pixel_size",), 0),
        (("labels",), [1, 2, 3]),
        (("splits",), {}),
        (("splits", "train", "num_examples"), 9),
        (("splits", "train", "label_counts"), {"a": 1}),
        (("splits", "train", "shards", 0, "path"), "../a.tfrecord"),
        (("splits", "train", "shards", 0, "sha256"), "abc"),
    ],
)
def test_a_wrong_field_is_named(folder, keys, value):
    _change(folder / "dataset.json", *keys, to=value)
    with pytest.raises(DataError, match=rf"{keys[-1]}|{keys[0]}") as error:
        dataset_info.read_info(folder)
    assert "dataset.json" in str(error.value)


def test_a_changed_pixel_size_is_found_by_the_fingerprint(folder):
    _change(folder / "dataset.json", "pixel_size", to=0.33)
    with pytest.raises(DataError, match=r"damaged dataset\.json.*fingerprint"):
        dataset_info.read_info(folder)


def test_a_description_of_another_program_needs_no_fingerprint(folder, info):
    _change(folder / "dataset.json", "fingerprint", to=None)
    assert dataset_info.read_info(folder) == info


@pytest.mark.parametrize("text", ["[]", "{", "\xff"])
def test_a_file_that_is_no_description_is_named(tmp_path, text):
    (tmp_path / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"dataset\.json"):
        schema.open_dataset(tmp_path)


def test_a_missing_split_is_named(tmp_path):
    dataset = support.make_dataset(tmp_path, {"train": 4, "validation": 0})
    for name in ("validation", "test"):
        with pytest.raises(UserError, match=f"expected one of train.*{name}"):
            dataset.split(name)


def test_the_fingerprint_depends_on_everything_that_models_are_trained_on(folder, info):
    _change(folder / "dataset.json", "credit", to="someone else")
    _change(folder / "dataset.json", "display", "red", to="blue")
    assert dataset_info.read_info(folder).fingerprint() == info.fingerprint()
    _change(folder / "dataset.json", "channels", to=["blue", "green", "red"])
    _change(folder / "dataset.json", "fingerprint", to=None)
    assert dataset_info.read_info(folder).fingerprint() != info.fingerprint()


@pytest.mark.parametrize(
    ("channels", "shown"),
    [
        (["blue", "yellow", "Green", "red"], ["red", "Green", "blue"]),
        (["nucleus", "protein", "ER"], [None, "protein", "nucleus"]),
        (["a", "b", "c", "d"], ["a", "b", "c"]),
        (["a"], ["a", "a", "a"]),
    ],
)
def test_channels_are_shown_by_name_or_else_by_order(channels, shown):
    assert list(dataset_info.default_display(channels).values()) == shown


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("top_shape",), None),
        (("num_embeddings",), float("inf")),
        (("splits", "train", 0, "path"), "../a"),
        (("splits", "train", 0, "bytes"), "9"),
    ],
)
def test_a_wrong_description_of_codes_is_named(tmp_path, keys, value):
    record = codes.serialize_codes([[0, 0]] * 2, [[1] * 4] * 4, [1], "a")
    shard = write_shard(tmp_path / shard_name("train", 0, 1), [record])
    info = codes.CodesInfo(
        (2, 2), (4, 4), 8, 1, ("x", "y"), "0", "1", {"train": (shard,)}
    )
    codes.write_codes_info(tmp_path, info)
    assert codes.read_codes_info(tmp_path) == info
    _change(tmp_path / "codes.json", "sealed_by", to=None)
    _change(tmp_path / "codes.json", *keys, to=value)
    with pytest.raises(DataError, match=r"codes\.json"):
        codes.read_codes_info(tmp_path)
