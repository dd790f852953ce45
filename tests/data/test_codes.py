import json

import numpy as np
import pytest

from tfvqgen.data import codes
from tfvqgen.data.tfrecords import shard_name, write_shard
from tfvqgen.errors import DataError


@pytest.fixture
def folder(tmp_path):
    record = codes.serialize_codes(np.zeros((2, 2)), np.ones((4, 4)), [1], "a")
    shard = write_shard(tmp_path / shard_name("train", 0, 1), [record])
    splits = {"train": (shard,)}
    info = codes.CodesInfo((2, 2), (4, 4), 8, 1, ("x", "y"), "0", "1", splits)
    codes.write_codes_info(tmp_path, info)
    assert codes.read_codes_info(tmp_path) == info
    return tmp_path


def _change(folder, change):
    path = folder / codes.FILE_NAME
    value = json.loads(path.read_text())
    change(value, value["splits"]["train"][0])
    # As a person would who means it: the hash is not what is tested here.
    del value["sealed_by"]
    path.write_text(json.dumps(value))


@pytest.mark.parametrize(
    "change",
    [
        lambda value, shard: value.pop("top_shape"),
        lambda value, shard: value.update(num_embeddings=float("inf")),
        lambda value, shard: value.update(top_shape=[float("nan"), 1]),
        lambda value, shard: value.update(splits=[]),
        lambda value, shard: shard.update(path=5),
        lambda value, shard: shard.update(bytes="9"),
        lambda value, shard: shard.update(num_examples=-1),
        lambda value, shard: shard.update(other=1),
    ],
)
def test_a_wrong_description_of_codes_is_named(folder, change):
    _change(folder, change)
    with pytest.raises(DataError, match=r"damaged file: expected .*codes\.json"):
        codes.read_codes_info(folder)


@pytest.mark.parametrize("path", ["../a", "/etc/hostname", "x/a", "..", "a\\b", "\0"])
def test_code_shards_are_in_their_folder(folder, path):
    _change(folder, lambda value, shard: shard.update(path=path))
    with pytest.raises(DataError, match="wrong shard"):
        codes.read_codes_info(folder)
