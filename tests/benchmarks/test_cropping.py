import argparse

from benchmarks import cropping


def test_the_same_fields_are_cropped_under_many_names(tmp_path):
    args = argparse.Namespace(drawn=1, field_size=128, seed=0, threads=1)
    drawn = cropping._drawn(tmp_path / "drawn", args)
    listed = cropping._listed(drawn, tmp_path / "listed", 2)
    run = cropping._crop(listed, 2, args)
    assert run.num_crops % 2 == 0
    assert run.num_crops > 0
    assert run.core_seconds > 0
