import numpy as np
import pytest

from tfvqgen.evaluation.report.report_images import reduced


@pytest.mark.parametrize(("side", "small"), [(64, 64), (200, 200), (256, 128)])
def test_large_images_are_reduced_by_a_whole_factor(side, small):
    image = np.random.default_rng(0).integers(256, size=(side, side, 3), dtype=np.uint8)
    found = reduced(image)
    assert found.shape == (small, small, 3)
    blocks = image.reshape(small, side // small, small, side // small, 3)
    np.testing.assert_allclose(found, blocks.mean(axis=(1, 3)), atol=0.51)
