import itertools

import pytest
import tensorflow as tf

from tests import support
from tfvqgen.data import input_pipeline, schema, tfrecords
from tfvqgen.errors import DataError


def _offsets(path, count):
    return tfrecords.scan_offsets(path, count)[0].tolist()


def _flip(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


def _found(split, verify=False):
    return [(d.path.name, d.record) for d in tfrecords.find_damage(split, verify)]


@pytest.fixture
def split(tmp_path):
    return support.make_dataset(tmp_path, {"train": 12}, num_shards=3).split("train")


def test_whole_shards_have_no_damage(split):
    assert _found(split, verify=True) == []


def test_every_damaged_record_is_named(split):
    first, _, last = split.paths
    _flip(first, _offsets(first, 4)[1] + 40)
    _flip(first, _offsets(first, 4)[3] + 40)
    _flip(last, _offsets(last, 4)[0] + 40)
    expected = [(first.name, 1), (first.name, 3), (last.name, 0)]
    assert _found(split) == expected
    assert _found(split, verify=True) == expected
    reasons = {d.reason for d in tfrecords.find_damage(split)}
    assert reasons == {"its bytes do not fit their checksum"}


def test_damage_before_a_broken_chain_is_named_too(split):
    path = split.paths[1]
    offsets = _offsets(path, 4)
    _flip(path, offsets[0] + 40)
    _flip(path, offsets[2])
    assert _found(split) == [(path.name, 0), (path.name, 2)]


def test_missing_and_truncated_shards_are_named(split):
    split.paths[0].unlink()
    data = split.paths[2].read_bytes()
    split.paths[2].write_bytes(data[:-30])
    assert _found(split) == [(split.paths[0].name, None), (split.paths[2].name, 3)]


def test_a_shard_that_is_another_whole_one_is_named(split):
    a, b = split.paths[:2]
    data = a.read_bytes()
    a.write_bytes(b.read_bytes())
    b.write_bytes(data)
    assert {name for name, _ in _found(split, verify=True)} == {a.name, b.name}


def test_a_whole_record_of_a_wrong_shape_is_named(split):
    path = split.paths[1]
    contents = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    contents[2] = schema.serialize_example(
        support.random_image((8, 9, 3)), [0], crop_id="a", group="g"
    )
    shard = tfrecords.write_shard(path, contents)
    (found,) = tfrecords.find_damage(split)
    assert (found.path, found.record) == (path, 2)
    assert found.reason == "its shape differs"
    assert shard.num_examples == 4


def test_a_whole_record_with_a_damaged_png_is_named(split):
    path = split.paths[0]
    contents = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    at = contents[1].index(b"IDAT")
    contents[1] = contents[1][: at + 20] + b"\0" * 20 + contents[1][at + 40 :]
    tfrecords.write_shard(path, contents)
    assert _found(split) == [(path.name, 1)]


def test_progress_counts_every_record(split):
    split.paths[0].unlink()
    _flip(split.paths[1], 0)
    counts = []
    list(tfrecords.find_damage(split, progress=counts.append))
    assert sum(counts) == 12


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("label_balance", [0.0, 0.5])
def test_an_error_while_reading_is_diagnosed(split, cache, label_balance):
    path = split.paths[2]
    _flip(path, _offsets(path, 4)[2] + 40)
    with pytest.raises(DataError, match=rf"{path.name} record 2 \("):
        try:
            batches = input_pipeline.training_examples(
                split,
                seed=0,
                batch_size=4,
                cache=cache,
                label_balance=label_balance,
            )
            list(itertools.islice(batches, 20))
        except tf.errors.OpError as error:
            raise input_pipeline.diagnose(error, split) from error


def test_an_error_that_the_data_do_not_explain_is_raised_again(split):
    error = tf.errors.InvalidArgumentError(None, None, "something else")
    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"):
        input_pipeline.diagnose(error, split)


@pytest.mark.parametrize("record", [b"\x00\xff\xfe\x80", b"\n\xff" * 40])
def test_a_whole_record_that_is_no_example_is_named(split, record):
    path = split.paths[1]
    contents = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    contents[2] = record
    tfrecords.write_shard(path, contents)
    assert _found(split) == [(path.name, 2)]
    with pytest.raises(DataError, match=r"record 2 \(.+\)") as error:
        try:
            list(tf.data.Dataset.range(12).map(_reader(split)))
        except tfrecords.READ_ERRORS as found:
            raise input_pipeline.diagnose(found, split) from found
    assert path.name in str(error.value)


def test_a_record_whose_image_is_cut_is_named(split):
    path = split.paths[0]
    contents = [r.numpy() for r in tf.data.TFRecordDataset(str(path))]
    example = tf.train.Example.FromString(contents[3])
    # The start of an image is no UTF-8; TensorFlow quotes it in its error.
    cut = example.features.feature[schema.IMAGE_ENCODED].bytes_list
    cut.value[0] = cut.value[0][:9]
    contents[3] = example.SerializeToString()
    tfrecords.write_shard(path, contents)
    assert _found(split) == [(path.name, 3)]


def _reader(split):
    read, parse = split.records.reader(), split.parser()
    return lambda number: parse(read(number))
