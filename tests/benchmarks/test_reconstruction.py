import argparse
import json

import numpy as np
import pytest

from benchmarks import real_crops, reconstruction


@pytest.mark.parametrize("num_embeddings", [4, 600])
def test_usage_is_the_share_of_the_codebook_of_whatever_size(num_embeddings, capsys):
    images = np.random.default_rng(0).integers(256, size=(3, 8, 8, 4), dtype=np.uint8)
    crops = real_crops.Crops(
        images=images,
        fields=np.array(["a", "b", "b"]),
        targets=np.array(["0"] * 3),
        corners=np.zeros((3, 2), int),
        held_out=np.array([False, True, True]),
    )
    args = argparse.Namespace(seed=0, threads=1, output=None)
    report = reconstruction._reporter("ours", crops, args)
    codes = np.arange(num_embeddings)[None, None]
    report(10, lambda x: x / 2, lambda x: (codes, codes[..., :2]), num_embeddings, {})
    line = json.loads(capsys.readouterr().out)
    assert (line["top_usage"], line["top_codebook_perplexity"]) == (1, num_embeddings)
    assert line["bottom_usage"] == round(2 / num_embeddings, 3)
    assert line["held_out_crops"] == 2
