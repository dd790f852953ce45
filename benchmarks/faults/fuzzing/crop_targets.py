"""Tables of crops with their images, what cropping and downloading keep, indices."""

import dataclasses
import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.folders import FuzzedFolder
from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.pictures import mutated_png
from benchmarks.faults.fuzzing.structures import (
    mutated_json,
    mutated_json_lines,
    mutated_table,
)
from tfvqgen.errors import DataError


def _crops_table(folder: Path) -> Inputs:
    """``crops.csv`` and ``crops.json``."""
    from data_prep.labels import load_vocabulary
    from data_prep.shards.record_plan import ShardOptions, plan_records, split_records
    from tests.support import make_crops
    from tfvqgen.data.crops import read_crops

    names = ["Nucleoli"], ["Cytosol", "Golgi apparatus"], [], ["Nucleoli"]
    make_crops(folder / "crops", names, metadata={"gene": "TP53", "focus": "0.5"})
    shares = {"train": 0.5, "validation": 0.5}
    options = ShardOptions(load_vocabulary("hpa24"), shares)

    def read(folder: Path) -> None:
        from data_prep.shards.crop_source import source_of_table

        source = source_of_table(read_crops(folder))
        split_records(plan_records(source, options).records, options)

    return FuzzedFolder(folder / "crops", read, ("crops.csv", "crops.json"))


def _crop_images(folder: Path) -> Inputs:
    """Images of crops, read for shards and in graph."""
    import tensorflow as tf

    from data_prep.embedding.crop_images import CropImages
    from data_prep.shards.crop_source import source_of_table
    from tests.support import make_crops
    from tfvqgen.data.crops import read_crops
    from tfvqgen.data.tfrecords import READ_ERRORS

    crops = read_crops(make_crops(folder / "crops", [["Nucleoli"]]))
    # A hash would end the reading before the image is decoded.
    rows = [dataclasses.replace(crop, sha256="") for crop in crops.rows]
    crops = dataclasses.replace(crops, rows=rows)
    images = CropImages(crops, crops.channels, 8)
    read_in_graph = images.reader()
    number = tf.constant(0, tf.int64)

    def read(folder: Path) -> None:
        del folder
        try:
            read_in_graph(number)
        except READ_ERRORS as error:
            raise images.explain(error) from None
        source = source_of_table(crops)
        source.read(source.rows[0])

    return FuzzedFolder(
        folder / "crops", read, ("images/crop0.png",), {".png": mutated_png}
    )


class _OneFile:
    """Inputs that are one damaged file, read from a folder of its own."""

    def __init__(self, path: Path, data: bytes, mutate, read: Callable[[], object]):
        self._path, self._data, self._mutate, self._read = path, data, mutate, read
        path.parent.mkdir(parents=True, exist_ok=True)

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages the file."""
        self._path.write_bytes(self._mutate(self._data, rng))
        return self._read


def _index(folder: Path) -> Inputs:
    """The tables of images to fetch."""
    from data_prep.download.index import read_index

    path = folder / "index.csv"
    header = "filename,locations,antibody,url,path,sha256\n"
    lines = (
        f"/archive/7/7_C5_1_,Nucleoli,HPA000992,https://a.org/1/x_red.png,"
        f"b/x_red.png,{'0' * 64}\n"
        "/archive/8/8_C5_1_,,CAB1,http://a.org:80/2/y_blue.jpg.gz,,\n"
    )
    data = (header + lines).encode()
    return _OneFile(path, data, mutated_table, lambda: read_index(path))


def _fields_index(folder: Path) -> Inputs:
    """The table of fields to fetch."""
    from data_prep.download.index import read_index

    path = folder / "IF-image.csv"
    data = (
        b"filename,locations,antibody\n/archive/7/7_C5_1_,Nucleoli,HPA000992\n"
        b"/archive/8/8_C5_1_,,CAB1\n"
    )
    return _OneFile(path, data, mutated_table, lambda: read_index(path))


def _journal(folder: Path) -> Inputs:
    """What a download says that it has fetched."""
    from data_prep.download.images import still_there
    from data_prep.download.index import Wanted
    from data_prep.download.journal import Journal

    path = folder / "fetched.jsonl"
    url = "https://a.org/1/x_red.png"
    (folder / "b").mkdir()
    image = folder / "b" / "x_red.png"
    image.write_bytes(b"12345")
    line = {
        "path": "b/x_red.png",
        "url": url,
        "sha256": hashlib.sha256(b"12345").hexdigest(),
        "bytes": 5,
        "modified": image.stat().st_mtime_ns,
        "etag": '"a"',
    }
    data = f"{json.dumps(line)}\n".encode() * 2

    def read() -> None:
        journal = Journal(path)
        known = journal.find("b/x_red.png")
        journal.close()
        wanted = Wanted(url, "b/x_red.png", "", 0)
        if known is None or not still_there(folder, wanted, known, False):
            raise DataError("not known: expected an image that is fetched once more")

    return _OneFile(path, data, mutated_json_lines, read)


def _partial(folder: Path) -> Inputs:
    """What a part of a download says of itself."""
    from data_prep.download.partial import Entity, Partial

    url = "https://a.org/1/x_red.png"
    partial = Partial(folder, "b/x_red.png")
    with partial.growing(Entity(url, '"a"', "", 99), 0) as file:
        file.write(b"12345")
    about = partial.path.with_suffix(".json")

    def read() -> None:
        entity = partial.entity(url)
        if entity is None:
            raise DataError("not known: expected a part that is begun anew")
        # What the next request is made of.
        if not isinstance(entity.validator, str):
            raise AssertionError("a header that is no text")
        _ = (entity.size or 0) > 5

    return _OneFile(about, about.read_bytes(), mutated_json, read)


def _field_result(folder: Path) -> Inputs:
    """What cropping keeps of a field."""
    from data_prep.cropping.field_crops import CropTask
    from data_prep.cropping.field_results import (
        forget,
        inputs_of,
        is_done,
        read_outcome,
        result_path,
    )
    from tests.data_prep.drawn_fields import draw_field, write_fields
    from tests.data_prep.layouts.pictures import write
    from tfvqgen.data.crops import Crop

    fields = write_fields(folder / "in", [draw_field()])
    settings = _settings(fields)
    task = CropTask(fields.fields[0], settings, str(folder / "out"))
    path = result_path(task.output, "f0")
    image = folder / "out" / "images" / "a.png"
    write(image)
    data = image.read_bytes()
    crop = Crop("a", "images/a.png", ("Nucleoli",), "g", sha256="0" * 64)
    result = {
        "inputs": inputs_of(task),
        "crops": [dataclasses.asdict(crop)],
        "bytes": [[len(data)]],
    }

    def read() -> None:
        if not image.exists():
            image.write_bytes(data)
        if is_done(task):
            read_outcome(task)
        else:
            forget(task)
            raise DataError("not done: expected a field that is cropped again")

    return _OneFile(path, json.dumps(result).encode(), mutated_json, read)


def _settings(fields):
    import argparse

    from data_prep.commands import crop
    from data_prep.cropping import crop_settings

    parser = argparse.ArgumentParser()
    crop.add_flags(parser)
    flags = ["--fields", "in", "--output", "out", "--crop_size", "64"]
    return crop_settings.settings_of(parser.parse_args(flags), fields)


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "crops": _crops_table,
    "crop_images": _crop_images,
    "index": _index,
    "fields_index": _fields_index,
    "journal": _journal,
    "partial": _partial,
    "field_result": _field_result,
}
