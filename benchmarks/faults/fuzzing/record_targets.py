"""Shards of images and of codes: what describes them, their records, their bytes."""

import functools
import json
import random
import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.faults.fuzzing.folders import FuzzedFolder
from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.mutation import mutated_bytes, odd_word
from benchmarks.faults.fuzzing.pictures import mutated_png
from tfvqgen.errors import DataError

_SHAPE = (8, 8, 3)


def _dataset_json(folder: Path) -> Inputs:
    from data_prep.shards import inspection
    from tests.support import make_dataset
    from tfvqgen.data.dataset_info import read_info, write_info

    make_dataset(folder / "shards", {"train": 6, "validation": 3}, shape=_SHAPE)

    def read(folder: Path) -> None:
        info = read_info(folder)
        info.fingerprint()
        inspection.summary(info)
        inspection.count_table(info)
        # What training keeps of it.
        write_info(folder, info)

    return FuzzedFolder(folder / "shards", read, ("dataset.json",))


def _codes_json(folder: Path) -> Inputs:
    from tfvqgen.data.codes import read_codes_info, require_current

    _write_codes(folder / "codes")

    def read(folder: Path) -> None:
        info = read_codes_info(folder)
        require_current(info, dataset_fingerprint="a", autoencoder_fingerprint="b")

    return FuzzedFolder(folder / "codes", read, ("codes.json",))


def _shards(folder: Path) -> Inputs:
    """Image shards, checked as ``inspect`` checks them."""
    from data_prep.shards import inspection
    from tests.support import make_dataset
    from tfvqgen.data import schema
    from tfvqgen.data.damage import find_damage
    from tfvqgen.data.dataset_info import read_info

    made = make_dataset(folder / "shards", {"train": 4}, shape=_SHAPE, num_shards=1)
    shard = made.info.splits["train"].shards[0].path

    def read(folder: Path) -> None:
        dataset = schema.Dataset(folder, read_info(folder))
        for damage in find_damage(dataset.split("train"), True):
            raise DataError(f"damaged: {damage.reason}. Received: {damage.path}")
        inspection.disagreements(dataset)

    def mend(folder: Path, rng: random.Random) -> None:
        if rng.random() < 0.8:
            _describe(folder, shard)

    mutations = {".tfrecord": mutated_shard}
    return FuzzedFolder(folder / "shards", read, (shard,), mutations, mend)


def _code_shards(folder: Path) -> Inputs:
    """Code shards, read as the priors read them."""
    from tfvqgen.data.codes import CodeSplit, read_codes_info
    from tfvqgen.data.damage import find_damage

    info = _write_codes(folder / "codes")
    shard = info.splits["train"][0].path

    def read(folder: Path) -> None:
        split = CodeSplit(folder, "train", read_codes_info(folder))
        for damage in find_damage(split):
            raise DataError(f"damaged: {damage.reason}. Received: {damage.path}")
        for batch in split.batches():
            top = batch["top"].max(initial=0), batch["bottom"].max(initial=0)
            if max(top) >= info.num_embeddings:
                raise AssertionError("codes beyond the codebook")

    def mend(folder: Path, rng: random.Random) -> None:
        if rng.random() < 0.8:
            _describe_codes(folder, shard)

    mutations = {".tfrecord": mutated_shard}
    return FuzzedFolder(folder / "codes", read, (shard,), mutations, mend)


class _Records:
    """Single records of whole shards, whose bytes fit their checksums."""

    def __init__(self, parse: Callable, records: Iterable[bytes]):
        import tensorflow as tf

        spec = [tf.TensorSpec([], tf.string)]
        self._parse = tf.function(parse, input_signature=spec)
        self._records = list(records)

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Changes a record."""
        record = mutated_record(rng.choice(self._records), rng)
        return functools.partial(self._read, record)

    def _read(self, record: bytes) -> None:
        import tensorflow as tf

        from tfvqgen.data.tfrecords import READ_ERRORS

        try:
            self._parse(tf.constant(record))
        except READ_ERRORS as error:
            # As `find_damage` does, which names the file and the record.
            raise DataError(f"expected a record: {type(error)}") from None


def _image_records(channels: int, dtype: str) -> Callable[[Path], Inputs]:
    def make(folder: Path) -> Inputs:
        from benchmarks.faults.fuzzing.pictures import noise
        from tests.support import make_dataset
        from tfvqgen.data import schema

        shape = (*_SHAPE[:2], channels)
        made = make_dataset(folder / "shards", {"train": 4}, shape=shape, dtype=dtype)
        parse = schema.example_parser(made.info)
        records = [
            schema.serialize_example(
                noise(shape, dtype), labels, crop_id="a", group="b", metadata={"x": "y"}
            )
            for labels in ([], [0], [1, 2])
        ]
        return _Records(parse, records)

    return make


def _code_records(folder: Path) -> Inputs:
    from tfvqgen.data.codes import codes_parser

    info = _write_codes(folder / "codes")
    return _Records(codes_parser(info), _code_examples(3))


def mutated_record(data: bytes, rng: random.Random) -> bytes:
    """Changes the features of an example, or its bytes."""
    import tensorflow as tf

    if rng.random() < 0.3:
        return mutated_bytes(data, rng)
    example = tf.train.Example.FromString(data)
    features = example.features.feature
    name = rng.choice(sorted(features))
    match rng.randrange(6):
        case 0:
            del features[name]
        case 1:
            features[odd_word(rng).encode("utf-8", "replace").decode()].CopyFrom(
                features[name]
            )
        case 2:
            features[name].CopyFrom(features[rng.choice(sorted(features))])
        case 3:
            numbers = (0, -1, 1, 7, 2**31, 2**63 - 1, -(2**63))
            values = [rng.choice(numbers) for _ in range(rng.choice((0, 1, 2, 9)))]
            features[name].CopyFrom(_integers(values))
        case 4:
            value = features[name].bytes_list.value
            old = value[0] if len(value) else b""
            new = mutated_png(old, rng) if old[:4] == b"\x89PNG" else b""
            features[name].CopyFrom(_texts([new or mutated_bytes(old, rng)]))
        case 5:
            count = rng.choice((0, 2, 1000))
            features[name].CopyFrom(_texts([b"x"] * count))
    return example.SerializeToString()


def mutated_shard(data: bytes, rng: random.Random) -> bytes:
    """Changes a file of records: its bytes, or a record with sums that are right."""
    if rng.random() < 0.5:
        return mutated_bytes(data, rng)
    records = split_records(data)
    place = rng.randrange(len(records))
    match rng.randrange(4):
        case 0:
            del records[place]
        case 1:
            records.insert(place, records[place])
        case _:
            records[place] = mutated_record(records[place], rng)
    return b"".join(map(framed, records))


def split_records(data: bytes) -> list[bytes]:
    """Returns the records of a whole TFRecord file."""
    place, records = 0, []
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        records.append(data[place + 12 : place + 12 + length])
        place += 16 + length
    return records


def framed(record: bytes) -> bytes:
    """Returns a record as a TFRecord file has it."""
    length = struct.pack("<Q", len(record))
    return b"".join((length, _checksum(length), record, _checksum(record)))


def _checksum(data: bytes) -> bytes:
    import numpy as np

    from tfvqgen.data.tfrecords import _masked_crc32c

    row = np.frombuffer(data, np.uint8)[None]
    return struct.pack("<I", int(_masked_crc32c(row)[0]))


def _integers(values):
    import tensorflow as tf

    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _texts(values):
    import tensorflow as tf

    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _code_examples(number: int) -> list[bytes]:
    import numpy as np

    from tfvqgen.data.codes import serialize_codes

    rng = np.random.default_rng(0)
    return [
        serialize_codes(
            rng.integers(0, 16, (2, 2)), rng.integers(0, 16, (4, 4)), [i % 2], f"c{i}"
        )
        for i in range(number)
    ]


def _write_codes(folder: Path):
    from tfvqgen.data.codes import CodesInfo, write_codes_info
    from tfvqgen.data.tfrecords import shard_name, write_shard

    folder.mkdir(parents=True)
    splits = {
        name: (write_shard(folder / shard_name(name, 0, 1), _code_examples(4)),)
        for name in ("train", "validation")
    }
    info = CodesInfo((2, 2), (4, 4), 16, 1, ("a", "b"), "a", "b", splits)
    write_codes_info(folder, info)
    return info


def _describe(folder: Path, shard: str) -> None:
    """Lets ``dataset.json`` say what the shard is now."""
    _edit(folder / "dataset.json", lambda value: value["splits"]["train"], shard)


def _describe_codes(folder: Path, shard: str) -> None:
    _edit(folder / "codes.json", lambda x: {"shards": x["splits"]["train"]}, shard)


def _edit(path: Path, split_of: Callable, shard: str) -> None:
    from tfvqgen.files import sha256_of_file

    file = path.parent / shard
    if file.is_file():
        value = json.loads(path.read_text())
        described = split_of(value)["shards"][0]
        described["bytes"] = file.stat().st_size
        described["sha256"] = sha256_of_file(file)
        path.write_text(json.dumps(value))


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "dataset_json": _dataset_json,
    "codes_json": _codes_json,
    "image_records": _image_records(3, "uint8"),
    "image_records_16": _image_records(4, "uint16"),
    "raw_records": _image_records(6, "uint16"),
    "code_records": _code_records,
    "shards": _shards,
    "code_shards": _code_shards,
}
