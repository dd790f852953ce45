import argparse

from benchmarks import sharding
from tests import support
from tfvqgen.data import crops


def _crops(tmp_path):
    return support.make_crops(
        tmp_path / "crops", [["Cytosol"], ["Nucleoli"]] * 4, shape=(16, 16, 4)
    )


def test_the_rate_is_measured_on_all_crops(tmp_path):
    folder, args = _crops(tmp_path), argparse.Namespace(rounds=1)
    (case,) = sharding.rate(folder, tmp_path, args)
    assert case["crops"] == 8
    assert case["crops_per_core_second"] > 0


def test_many_crops_are_few_under_new_names(tmp_path):
    folder = _crops(tmp_path)
    assert sharding.link_many(folder, tmp_path / "many", 19) == 8
    source = crops.read_crops(tmp_path / "many")
    assert len({row.crop_id for row in source.rows}) == 19
    # Four groups of two crops each, again and again.
    assert len({row.group for row in source.rows}) == 10
    for row in source.rows:
        assert source.image_path(row).stat().st_nlink > 1
