""""""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvqgen.data import tfrecords
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


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=50), max_size=4), min_size=1, max_size=4))
def test_any_record_is_read_by_its_number(tmp_path_factory, contents):
    folder = tmp_path_factory.mktemp("records")
    opened = _open(folder, _write(folder, *contents))
    flat = [data for shard in contents for data in shard]
    assert opened.num_records == len(flat)
    assert [_read(opened, i) for i in range(len(flat))] == flat


@pytest.mark.parametrize(
    ("name", "known"),
    [
        (tfrecords.shard_name("train", 0, 1), True),
        (tfrecords.shard_name("test", 123, 200_000), True),
        (tfrecords.shard_name("mine", 0, 1), False),
        ("train.tfrecord", False),
        ("train-00000-of-00001.tfrecord.bak", False),
        ("my-train-00000-of-00001.tfrecord", False),
        ("train-0-of-1.tfrecord", False),
    ],
)
def test_names_of_shards_are_known_from_others(name, known):
    assert tfrecords.is_shard_name(name, ("train", "test")) == known


def test_the_description_of_a_shard_is_true(tmp_path):
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


@pytest.mark.parametrize("cut", range(1, 19))
def test_a_truncated_shard_is_named(tmp_path, cut):
    (shard,) = _write(tmp_path, [b"one", b"two", b"six"])
    path = tmp_path / shard.path
    # The third record has 19 bytes: whatever is cut off is cut off it.
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(
        DataError, match=rf"{shard.path} record 2 \(the file ends within"
    ):
        _open(tmp_path, [shard])


def test_a_shard_without_its_last_record_is_named(tmp_path):
    (shard,) = _write(tmp_path, [b"one", b"two"])
    path = tmp_path / shard.path
    path.write_bytes(path.read_bytes()[:19])
    with pytest.raises(DataError, match=r"record 1 \(.*after 1 records, not 2"):
        _open(tmp_path, [shard])


@pytest.mark.parametrize("byte", range(12))
@pytest.mark.parametrize("record", range(3))
def test_a_flipped_byte_in_a_length_is_named(tmp_path, byte, record):
    (shard,) = _write(tmp_path, [b"one", b"two", b"six"])
    path = tmp_path / shard.path
    data = bytearray(path.read_bytes())
    data[19 * record + byte] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"record {record} \(the length"):
        _open(tmp_path, [shard])


def test_a_missing_shard_is_named(tmp_path):
    (shard,) = _write(tmp_path, [b"one"])
    (tmp_path / shard.path).unlink()
    with pytest.raises(DataError, match=rf"{shard.path} \(the file is missing"):
        _open(tmp_path, [shard])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**40))
def test_every_epoch_has_every_record_once(size, seed, epoch):
    positions = tf.range(size, dtype=tf.int64) + epoch * size
    order = [int(tfrecords.shuffled_index(p, size, seed)) for p in positions]
    assert sorted(order) == list(range(size))


def test_orders_differ_between_epochs_and_seeds():
    def order(seed, epoch):
        positions = np.arange(50) + 50 * epoch
        return [
            int(tfrecords.shuffled_index(tf.constant(p, tf.int64), 50, seed))
            for p in positions
        ]

    orders = [order(0, 0), order(0, 1), order(1, 0), list(range(50))]
    assert len({tuple(o) for o in orders}) == 4
    # Neighbours in the files are not neighbours in the stream (1 in 25 would be by
    # chance).
    steps = np.abs(np.diff(orders[0]))
    assert (steps == 1).mean() < 0.2


def test_records_stand_anywhere_in_an_epoch():
    size, epochs = 10, 400
    position = tf.data.Dataset.range(size * epochs)
    order = position.map(lambda p: tfrecords.shuffled_index(p, size, 3))
    table = np.array(list(order.as_numpy_iterator())).reshape(epochs, size)
    counts = np.array([np.bincount(column, minlength=size) for column in table.T])
    # 40 expected; 6 standard deviations either way.
    assert np.abs(counts - epochs / size).max() < 36


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (tf.errors.ResourceExhaustedError, OSError),
        (tf.errors.PermissionDeniedError, PermissionError),
        (tf.errors.NotFoundError, FileNotFoundError),
    ],
)
@pytest.mark.parametrize("method", ["write", "close"])
def test_a_shard_that_cannot_be_written_is_an_os_error(
    tmp_path, monkeypatch, error, kind, method
):
    class Broken:
        def __init__(self, path):
            open(path, "w").close()

        def write(self, record):
            self.fail("write")

        def close(self):
            self.fail("close")

        def fail(self, name):
            if name == method:
                raise error(None, None, "no")

    monkeypatch.setattr(tf.io, "TFRecordWriter", Broken)
    with pytest.raises(kind) as found:
        tfrecords.write_shard(tmp_path / "a.tfrecord", [b"one"])
    assert found.value.filename == str(tmp_path / "a.tfrecord")
    assert list(tmp_path.iterdir()) == []


def test_a_shard_without_its_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        tfrecords.write_shard(tmp_path / "no" / "a.tfrecord", [b"one"])
    assert found.value.filename == str(tmp_path / "no" / "a.tfrecord")


def test_errors_of_the_records_are_not_taken_for_the_shard_s(tmp_path):
    def exhausted():
        yield b"one"
        raise tf.errors.ResourceExhaustedError(None, None, "memory")

    with pytest.raises(tf.errors.ResourceExhaustedError):
        tfrecords.write_shard(tmp_path / "a.tfrecord", exhausted())
    assert list(tmp_path.iterdir()) == []
