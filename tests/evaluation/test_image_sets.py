import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tfvqgen.errors import DataError
from tfvqgen.evaluation.image_sets import ImageSet


def images_of(folder):
    return ImageSet.of_split(support.make_dataset(folder, {"test": 40}).split("test"))


def test_chosen_images_are_read_in_their_order(tmp_path):
    images = images_of(tmp_path)
    numbers = [39, 3, *range(35)]
    found = images.take(numbers).read()
    expected = [support.random_image((8, 8, 3), seed=i) for i in numbers]
    np.testing.assert_array_equal(found, np.stack(expected))
    assert found.dtype == np.uint8
    assert images.take([]).read().shape == (0, 8, 8, 3)


def test_a_damaged_image_in_an_undamaged_record_is_named(tmp_path):
    images = images_of(tmp_path)
    path = images.split.paths[0]
    first, *others = (
        record.numpy() for record in tf.data.TFRecordDataset(str(path)).take(-1)
    )
    cut = first.index(b"IDAT") + 4
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in (first[:cut] + bytes(8) + first[cut + 8 :], *others):
            writer.write(record)
    assert images.take([1]).read().shape == (1, 8, 8, 3)
    with pytest.raises(DataError, match=rf"{path.name} record 0"):
        images.take([0, 1]).read()
