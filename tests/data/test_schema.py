import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import support
from tfvqgen.data import images, schema
from tfvqgen.data.dataset_info import DatasetInfo, default_display
from tfvqgen.errors import DataError


def _info(shape, dtype, labels=("a", "b", "c")):
    channels = support.CHANNELS[: shape[-1]]
    return DatasetInfo(
        image_shape=tuple(shape),
        dtype=dtype,
        channels=channels,
        display=default_display(channels),
        pixel_size=None,
        labels=tuple(labels),
        label_policy="multi_hot",
        credit="",
        splits={},
    )


@settings(max_examples=10, deadline=None)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8)),
    st.sampled_from(images.DTYPES),
    st.sets(st.integers(0, 2)),
    st.integers(0, 2**32 - 1),
)
def test_examples_come_back_exactly(shape, dtype, labels, seed):
    image = support.random_image(shape, dtype, seed)
    record = schema.serialize_example(image, sorted(labels), crop_id="a", group="g")
    parsed = schema.example_parser(_info(shape, dtype))(tf.constant(record))
    assert parsed["image"].dtype == dtype
    np.testing.assert_array_equal(parsed["image"], image)
    hot = [float(k in labels) for k in range(3)]
    np.testing.assert_array_equal(parsed["labels"], hot)


def test_a_record_has_the_documented_features():
    record = schema.serialize_example(
        support.random_image((4, 6, 5), "uint16"),
        [2, 0],
        crop_id="a",
        group="g",
        field="f",
        metadata={"gene": "TP53", "synthetic": "true"},
    )
    features = tf.train.Example.FromString(record).features.feature
    text = {
        name: feature.bytes_list.value[0]
        for name, feature in features.items()
        if name != "image/encoded" and feature.bytes_list.value
    }
    numbers = {
        name: list(feature.int64_list.value)
        for name, feature in features.items()
        if feature.int64_list.value
    }
    assert text == {
        "image/format": b"raw",
        "crop/id": b"a",
        "crop/group": b"g",
        "crop/field": b"f",
        "hpa/gene": b"TP53",
        "crop/synthetic": b"true",
    }
    assert numbers == {
        "image/height": [4],
        "image/width": [6],
        "image/channels": [5],
        "image/label": [2, 0],
    }


@pytest.mark.parametrize(
    ("shape", "dtype", "labels", "words"),
    [
        ((4, 5, 3), "uint8", (), "shape differs"),
        ((4, 4, 3), "uint16", (), "shape or depth"),
        ((4, 4, 3), "uint8", (3,), "outside the vocabulary"),
    ],
)
def test_a_record_that_differs_from_the_description_is_refused(
    shape, dtype, labels, words
):
    record = schema.serialize_example(
        support.random_image(shape, dtype), labels, crop_id="a", group="g"
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        schema.example_parser(_info((4, 4, 3), "uint8"))(tf.constant(record))


def test_a_png_of_another_shape_than_its_record_says_is_refused():
    image, other = support.random_image((4, 4, 3)), support.random_image((4, 6, 3))
    record = schema.serialize_example(
        image, [], crop_id="a", group="g", png=images.encode_png(other)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="another shape"):
        schema.example_parser(_info((4, 4, 3), "uint8"))(tf.constant(record))


def test_labels_groups_images_and_ids_are_read_by_number(tmp_path):
    labels = [(0,), (), (2, 1), (1,), (), (0, 2)]
    split = support.make_dataset(
        tmp_path, {"train": 6}, example_labels=labels, num_shards=4
    ).split("train")
    hot = [[k in each for k in range(3)] for each in labels]
    np.testing.assert_array_equal(split.read_labels(), hot)
    assert schema.read_groups(split) == [b"train-group%d" % i for i in range(6)]
    assert split.crop_ids([5, 0, 2]) == ["train5", "train0", "train2"]
    (image,) = schema.read_images(split, [4])
    np.testing.assert_array_equal(image, support.random_image((8, 8, 3), seed=4))


def test_wrong_shards_are_found_at_opening(tmp_path):
    dataset = support.make_dataset(tmp_path)
    path = dataset.split("train").paths[1]
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"?" + data[101:])
    schema.open_dataset(tmp_path)
    with pytest.raises(DataError, match=f"{path.name} .*sha256"):
        schema.open_dataset(tmp_path, verify=True)
    path.write_bytes(data + b"x")
    with pytest.raises(DataError, match=f"{path.name} .*bytes, not {len(data)}"):
        schema.open_dataset(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} .*missing"):
        schema.open_dataset(tmp_path)


@pytest.mark.parametrize("dtype", images.DTYPES)
def test_every_value_survives_the_way_to_the_unit_interval_and_back(dtype):
    top = np.iinfo(dtype).max
    values = np.arange(top + 1).astype(dtype)
    unit = schema.to_unit(tf.constant(values))
    assert unit.dtype == tf.float32
    np.testing.assert_allclose(unit, values / top, atol=1e-7)
    back = schema.from_unit(unit, dtype)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)
    clipped = schema.from_unit(tf.constant([-0.5, 2.0]), dtype)
    assert clipped.numpy().tolist() == [0, top]
