"""A few damaged inputs of every kind; benchmarks/faults/fuzzed_inputs.py gives many."""

import argparse
import json
import random
import time

import pytest

from benchmarks.faults import fuzzed_inputs
from benchmarks.faults.fuzzing import judging
from benchmarks.faults.fuzzing.mutation import mutated_bytes
from benchmarks.faults.fuzzing.pictures import mutated_png, mutated_tiff
from benchmarks.faults.fuzzing.structures import mutated_json, mutated_table
from benchmarks.faults.fuzzing.targets import TARGETS
from tests.data_prep.screened_crops import INSTALLED
from tfvqgen.errors import UserError

# Whole folders, and what TensorFlow opens, take a tenth of a second.
_FEW = {"shards": 2, "code_shards": 2, "saved_model": 1}
_SCREENING = ("umap", "decisions", "decided", "clusters")


# The flags of train.py would stay in this process, and are those of other tests.
@pytest.mark.parametrize("target", [x for x in TARGETS if x != "training_flags"])
def test_damaged_inputs_are_read_or_refused_in_words(target):
    if target in _SCREENING and not INSTALLED:
        pytest.skip("the extra screen is missing")
    line = fuzzed_inputs.fuzz(target, _FEW.get(target, 12), seed=1, seconds=60)
    assert line["faults"] == {}
    assert line["inputs"] == line["refused"] + line["accepted"]


def test_every_parser_has_a_target():
    named = (
        ("dataset_json", "image_records", "shards", "codes_json", "code_records")
        + ("kaggle2018", "kaggle2021", "hpa", "if_image", "subcell", "folder")
        + ("manifest", "crops", "umap", "clusters", "decisions", "decided", "features")
        + ("overrides", "flags", "training_flags", "vocabularies", "masks")
        + ("png", "jpeg", "tiff", "stored_png", "partial", "journal", "downloaded")
        + ("config_json", "metrics", "about_json", "saved_model", "questions")
    )
    assert set(named) <= set(TARGETS)


@pytest.mark.parametrize(
    ("mutate", "data"),
    [
        (mutated_bytes, b"abc" * 9),
        (mutated_json, b'{"a": [1, "b", null], "c": {"d": 0.5}}'),
        (mutated_table, b"a,b\n1,2\n3,4\n"),
    ],
)
def test_a_seed_makes_the_same_input_and_another_one_others(mutate, data):
    made = [mutate(data, random.Random(seed)) for seed in range(50)]
    assert made == [mutate(data, random.Random(seed)) for seed in range(50)]
    assert len(set(made)) > 25


def test_damaged_images_are_often_whole_enough_to_be_looked_into():
    from data_prep.images.field_images import decode_image
    from tests.data_prep.png_writer import write_png
    from tests.support import random_image

    whole = write_png(random_image((8, 8, 3)))
    reached = 0
    for seed in range(100):
        try:
            decode_image(mutated_png(whole, random.Random(seed)))
        except UserError as error:
            # Beyond the first look at signature and sums.
            reached += "checksums" not in str(error)
        else:
            reached += 1
    assert reached > 60
    assert mutated_tiff(b"II*\0\x08\0\0\0\x01\0" + bytes(16), random.Random(0))


class _Inputs:
    def __init__(self, *reads):
        self._reads = reads
        self._number = -1

    def draw(self, rng):
        self._number += 1
        return self._reads[self._number % len(self._reads)]


def _raise(error):
    raise error


def test_what_becomes_of_inputs_is_counted():
    inputs = _Inputs(
        lambda: None,
        lambda: _raise(UserError("wrong: expected a. Received: b")),
        lambda: _raise(FileNotFoundError(2, "no such file")),
        lambda: _raise(KeyError("x")),
        lambda: _raise(UserError("no")),
        lambda: time.sleep(30),
    )
    found = judging.judge(inputs, 6, seed=0, seconds=0.2)
    line = found.as_json()
    assert (line["inputs"], line["accepted"], line["refused"]) == (6, 1, 2)
    assert (line["tracebacks"], line["hangs"]) == (2, 1)
    words = " ".join(line["faults"])
    assert "KeyError" in words and "without what was expected" in words
    assert line["slowest_ms"] < 5000
    assert line["before_mb"] > 0 and line["after_mb"] > 0


def test_a_target_whose_process_dies_has_its_line_in_the_output_too(tmp_path):
    output = tmp_path / "cases.jsonl"
    args = argparse.Namespace(seed=0, seconds=1.0, threads=1, output=output)
    fuzzed_inputs._run_apart("nope", 1, args)
    (line,) = map(json.loads, output.read_text().splitlines())
    assert line["target"] == "nope" and "exit status 2" in str(line["faults"])


def test_an_unknown_target_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["fuzzed_inputs", "--target", "nope"])
    with pytest.raises(UserError, match="unknown target: expected all or one of"):
        fuzzed_inputs.main()


def test_usual_words_of_choices_are_read_so_that_odd_ones_stand_beside_them(tmp_path):
    choices = TARGETS["choices"](tmp_path)
    for kind, usual in choices._usual.items():
        for word in usual:
            if kind not in ("labels", "resolve"):
                choices._readers[kind]([word])
