"""Apache Beam leaves the same bytes as the processes of one machine."""

import sys

import pytest

from data_prep.cropping.beam import beam_runner
from tests import support
from tests.data_prep.drawn_fields import crop
from tfvqgen.errors import DataError, UserError


def test_missing_beam_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(UserError, match="the extra `beam`"):
        beam_runner("", 1)


@pytest.fixture(scope="module")
def beam():
    pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")


def test_beam_leaves_the_same_bytes(beam, fields, finished, tmp_path):
    runner = beam_runner("--runner=DirectRunner --direct_running_mode=in_memory", 2)
    crop(fields, tmp_path, runner=runner, num_overlays=1)
    assert support.digest_of_folder(tmp_path) == support.digest_of_folder(finished)


def test_an_unreadable_field_is_named_by_beam_too(beam, fields, tmp_path):
    runner = beam_runner("--direct_running_mode=in_memory", 1)
    with pytest.raises(DataError, match="the last is f0: no mask"):
        crop(fields, tmp_path / "crops", runner=runner, masks=tmp_path)


@pytest.mark.parametrize(
    "words", ["--job_name='x", "--runner=Nobody", "--direct_num_workers=x"]
)
def test_wrong_options_of_beam_are_a_user_error(beam, words):
    with pytest.raises(UserError, match="wrong --beam_args"):
        beam_runner(words, 1)
