import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import support
from tfvqgen.data import input_pipeline, schema, tfrecords
from tfvqgen.errors import DataError
from tfvqgen.files import sha256_of_file


def _write(folder, *shards):
    return [
        tfrecords.write_shard(
            folder / tfrecords.shard_name("train", i, len(shards)), data
        )
        for i, data in enumerate(shards)
    ]


def _open(folder, shards):
    return tfrecords.Records(
        [folder / shard.path for shard in shards],
        [shard.num_examples for shard in shards],
    )


def _read(opened, index):
    return opened.reader()(tf.constant(index, tf.int64)).numpy()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=50), max_size=4), min_size=1, max_size=4))
def test_any_record_is_read_by_its_number(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("records")
    opened = _open(folder, _write(folder, *contents))
    flat = [data for shard in contents for data in shard]
    assert [_read(opened, i) for i in range(len(flat))] == flat


def test_the_description_of_a_shard_matches_its_file(tmp_path):
    (shard,) = _write(tmp_path, [b"one", b"two"])
    path = tmp_path / shard.path
    assert shard.path == "train-00000-of-00001.tfrecord"
    assert shard.bytes == path.stat().st_size
    assert shard.num_examples == 2
    assert shard.sha256 == sha256_of_file(path)
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == [b"one", b"two"]


def test_an_interrupted_shard_leaves_nothing(tmp_path):
    def interrupted():
        yield b"one"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfrecords.write_shard(tmp_path / "a.tfrecord", interrupted())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [1, 18])
def test_a_truncated_shard_is_named(tmp_path, cut):
    (shard,) = _write(tmp_path, [b"one", b"two", b"six"])
    path = tmp_path / shard.path
    # The third record has 19 bytes.
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(
        DataError, match=rf"{shard.path} record 2 \(the file ends within"
    ):
        _open(tmp_path, [shard])


@pytest.mark.parametrize(("record", "byte"), [(0, 0), (2, 11)])
def test_a_flipped_byte_in_a_length_is_named(tmp_path, record, byte):
    (shard,) = _write(tmp_path, [b"one", b"two", b"six"])
    path = tmp_path / shard.path
    data = bytearray(path.read_bytes())
    data[19 * record + byte] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"record {record} \(the length"):
        _open(tmp_path, [shard])


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 20), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40))
def test_every_epoch_has_every_record_once(size, seed, epoch):
    positions = tf.range(size, dtype=tf.int64) + epoch * size
    order = [int(tfrecords.shuffled_index(p, size, seed)) for p in positions]
    assert sorted(order) == list(range(size))


def test_orders_differ_between_epochs_and_seeds():
    def order(seed, epoch):
        positions = tf.range(20, dtype=tf.int64) + 20 * epoch
        return tuple(int(tfrecords.shuffled_index(p, 20, seed)) for p in positions)

    assert len({order(0, 0), order(0, 1), order(1, 0), tuple(range(20))}) == 4


def test_each_record_is_at_any_position_of_an_epoch():
    size, epochs = 10, 100
    position = tf.data.Dataset.range(size * epochs)
    order = position.map(lambda p: tfrecords.shuffled_index(p, size, 3))
    table = np.array(list(order.as_numpy_iterator())).reshape(epochs, size)
    counts = np.array([np.bincount(column, minlength=size) for column in table.T])
    # 10 expected; 6 standard deviations either way.
    assert np.abs(counts - epochs / size).max() < 18


@pytest.mark.parametrize("method", ["write", "close"])
def test_a_shard_that_cannot_be_written_is_an_os_error(tmp_path, monkeypatch, method):
    class Broken:
        def __init__(self, path):
            open(path, "w").close()

        def write(self, record):
            self.fail("write")

        def close(self):
            self.fail("close")

        def fail(self, name):
            if name == method:
                raise tf.errors.ResourceExhaustedError(None, None, "no")

    monkeypatch.setattr(tf.io, "TFRecordWriter", Broken)
    with pytest.raises(OSError) as found:
        tfrecords.write_shard(tmp_path / "a.tfrecord", [b"one"])
    assert found.value.filename == str(tmp_path / "a.tfrecord")
    assert list(tmp_path.iterdir()) == []


def _flip(path, record, byte=40):
    data = bytearray(path.read_bytes())
    data[int(tfrecords.scan_offsets(path, 4)[0][record]) + byte] ^= 0x40
    path.write_bytes(data)


@pytest.fixture
def split(tmp_path):
    return support.make_dataset(tmp_path, {"train": 16}, num_shards=4).split("train")


def test_all_damage_is_found_with_file_and_record(split):
    assert list(tfrecords.find_damage(split, verify=True)) == []
    first, second, third, last = split.paths
    # The last record of the first shard is cut off, another one has a wrong checksum.
    _flip(first, 1)
    first.write_bytes(first.read_bytes()[:-30])
    contents = [r.numpy() for r in tf.data.TFRecordDataset(str(second))]
    other_shape = support.random_image((8, 9, 3))
    contents[0] = schema.serialize_example(other_shape, [0], crop_id="a", group="g")
    at = contents[1].index(b"IDAT")
    contents[1] = contents[1][: at + 20] + b"\0" * 20 + contents[1][at + 40 :]
    # The start of a PNG is not UTF-8; TensorFlow quotes it in its error.
    example = tf.train.Example.FromString(contents[2])
    image = example.features.feature[schema.IMAGE_ENCODED].bytes_list
    image.value[0] = image.value[0][:9]
    contents[2] = example.SerializeToString()
    contents[3] = b"\x00\xff\xfe\x80"
    tfrecords.write_shard(second, contents)
    _flip(third, 0)
    _flip(third, 2, byte=0)
    last.unlink()
    counts = []
    found = list(tfrecords.find_damage(split, progress=counts.append))
    assert [(damage.path, damage.record) for damage in found] == [
        *((first, record) for record in (1, 3)),
        *((second, record) for record in range(4)),
        *((third, record) for record in (0, 2)),
        (last, None),
    ]
    assert found[0].reason == "its bytes do not fit their checksum"
    assert found[2].reason == "its shape differs"
    assert sum(counts) == 16


def test_a_shard_that_was_replaced_by_another_one_is_found(split):
    first, second = split.paths[:2]
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    found = tfrecords.find_damage(split, verify=True)
    assert {damage.path for damage in found} == {first, second}


@pytest.mark.parametrize("options", [{"label_balance": 0.5}, {"cache": True}])
def test_an_error_while_reading_is_diagnosed(split, options):
    path = split.paths[2]
    _flip(path, 2)
    with pytest.raises(DataError, match=rf"{path.name} record 2 \("):
        try:
            batches = input_pipeline.training_examples(
                split, seed=0, batch_size=4, **options
            )
            list(itertools.islice(batches, 20))
        except tf.errors.OpError as error:
            raise input_pipeline.diagnose(error, split) from error


def test_an_error_that_no_damage_explains_is_raised_again(split):
    error = tf.errors.InvalidArgumentError(None, None, "something else")
    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"):
        input_pipeline.diagnose(error, split)
