import numpy as np
import pytest

from tests import support
from tfvqgen.errors import DataError
from tfvqgen.evaluation.features import find_features
from tfvqgen.evaluation.image_sets import ImageSet


class Means:
    name, size = "means", 3

    def features(self, images):
        return images.mean(axis=(1, 2)).astype(np.float32)


@pytest.fixture
def images(tmp_path):
    return ImageSet.of_split(support.make_dataset(tmp_path, {"test": 70}).split("test"))


def test_features_are_those_of_the_images_in_their_order(images):
    chosen = images.take([69, 3, *range(20, 60)])
    found = find_features(Means(), chosen, "crops")
    expected = [
        support.random_image((8, 8, 3), seed=i).mean(axis=(0, 1))
        for i in chosen.numbers
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_extractor_that_fails_is_named(images):
    class Broken(Means):
        name = "broken"

        def features(self, images):
            return super().features(images) * np.nan

    with pytest.raises(DataError, match=r"extractor broken fails.*with NaN"):
        find_features(Broken(), images, "crops")
    Broken.size = 4
    with pytest.raises(DataError, match=r"finite features \[32, 4\]"):
        find_features(Broken(), images, "crops")
