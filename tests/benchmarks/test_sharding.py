import argparse

from benchmarks import sharding
from tests import support
from tfvqgen.data import crops


def _crops(tmp_path):
    return support.make_crops(
        tmp_path / "crops", [["Cytosol"], ["Nucleoli"]] * 4, shape=(16, 16, 4)
    )


def test_codecs_and_rates_are_measured(tmp_path):
    folder, args = _crops(tmp_path), argparse.Namespace(images=3, rounds=1)
    png, raw = sharding.codec(folder, tmp_path, args)
    assert (png["codec"], raw["codec"]) == ("png", "raw")
    assert raw["bytes"] == 16 * 16 * 4
    assert min(png["encode_milliseconds"], png["decode_milliseconds"]) > 0
    for case in sharding.rate(folder, tmp_path, args):
        assert case["crops"] == 8
        assert case["crops_per_core_second"] > 0


def test_many_crops_are_few_under_new_names(tmp_path):
    folder = _crops(tmp_path)
    assert sharding._link_many(folder, tmp_path / "many", 19) == 8
    source = crops.read_crops(tmp_path / "many")
    assert len({row.crop_id for row in source.rows}) == 19
    # Four groups of two crops each, again and again.
    assert len({row.group for row in source.rows}) == 10
    for row in source.rows:
        assert source.image_path(row).stat().st_nlink > 1
