import numpy as np

from benchmarks.inpainting import (
    agreements,
    group_mean_errors,
    intensity_statistics,
    neighbours_across_groups,
)


def test_neighbours_are_the_nearest_of_other_groups():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(700, 5)) * [1, 10, 100, 1, 0]
    groups = rng.integers(30, size=700).astype(str)
    found = neighbours_across_groups(features, groups)
    standardized = features[:, :4] / features[:, :4].std(axis=0)
    for i in (0, 5, 511, 512, 699):
        distances = np.linalg.norm(standardized - standardized[i], axis=1)
        distances[groups == groups[i]] = np.inf
        assert found[i] == distances.argmin()


def test_neighbours_agree_where_they_share_a_label():
    labels = [("a",), ("a", "b"), ("b",), ()]
    found = agreements(np.array([1, 2, 0, 3]), labels)
    np.testing.assert_array_equal(found, [True, True, False, False])


def test_a_crop_is_not_part_of_the_mean_that_it_is_compared_with():
    proteins = np.array([1.0, 2.0, 6.0, 5.0, 5.0]).reshape(5, 1, 1)
    errors = group_mean_errors(proteins, np.array([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(errors, [9, 2.25, 20.25, 0, 0])


def test_intensity_statistics_know_levels_and_correlations_but_no_shapes():
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    images[..., 2] = images[..., 0]
    found = intensity_statistics(images)
    assert found.shape == (4, 9 * 3 + 2)
    np.testing.assert_allclose(found[:, :3], images.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(found[:, -1], 1, rtol=1e-4)
    shuffled = images.reshape(4, 64, 3)[:, ::-1].reshape(images.shape)
    np.testing.assert_allclose(intensity_statistics(shuffled), found, rtol=1e-4)
