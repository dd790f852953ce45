"""Apache Beam leaves the bytes of the process pool."""

import sys

import pytest

from data_prep.cropping import pipeline
from data_prep.cropping.beam import beam_runner
from tests import support
from tests.data_prep import drawn_fields
from tests.data_prep.cropping.test_run import SETTINGS
from tfvqgen.errors import DataError, UserError


def test_missing_beam_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match=r"tfvqgen\[prep,beam\]"):
        beam_runner("", 1)


@pytest.fixture(scope="module")
def beam():
    pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")


@pytest.fixture
def fields(tmp_path):
    arrays = [drawn_fields.draw_field(seed) for seed in range(4)]
    return drawn_fields.write_fields(tmp_path / "fields", arrays)


@pytest.mark.parametrize(
    "beam_args", ["", "--runner=DirectRunner --direct_running_mode=in_memory"]
)
def test_beam_leaves_the_bytes_of_the_process_pool(beam, fields, tmp_path, beam_args):
    runners = {
        "pool": pipeline.local_runner(2),
        "beam": beam_runner(beam_args, 2),
    }
    for name, runner in runners.items():
        pipeline.crop_fields(
            fields, tmp_path / name, SETTINGS, runner=runner, overlays=1
        )
    pool, beam_made = (support.digest_of_folder(tmp_path / name) for name in runners)
    assert beam_made == pool and len(pool) > 16


def test_a_bad_field_is_named_by_beam_too(beam, fields, tmp_path):
    path = fields.fields[2].planes["red"].path
    path.write_bytes(path.read_bytes()[:1000])
    runner = beam_runner("--direct_running_mode=in_memory", 1)
    options = {"runner": runner, "max_bad_fields": 0}
    with pytest.raises(DataError, match="the last is f2: a truncated"):
        pipeline.crop_fields(fields, tmp_path / "crops", SETTINGS, **options)
    options["max_bad_fields"] = 1
    summary = pipeline.crop_fields(fields, tmp_path / "crops", SETTINGS, **options)
    assert summary.num_fields == 3 and list(summary.bad_fields) == ["f2"]


@pytest.mark.parametrize(
    "words", ["--job_name='x", "--runner=Nobody", "--direct_num_workers=x"]
)
def test_wrong_options_of_beam_are_a_sentence(beam, words):
    with pytest.raises(UserError, match="wrong --beam_args"):
        beam_runner(words, 1)
