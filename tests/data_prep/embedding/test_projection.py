"""Components, clusters and map of features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.embedding import projection
from tfvqgen.errors import UserError

pytest.importorskip("sklearn")


def blobs(num=120, features=20, seed=0):
    """Returns features of three well separated kinds of crops, and the kinds."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat([0, 1, 2], [num // 2, num // 3, num - num // 2 - num // 3])
    centres = 8 * rng.normal(size=(3, features))
    return (centres[kinds] + rng.normal(size=(num, features))).astype("f4"), kinds


def test_standardised_features_have_mean_0_and_deviation_1_and_constants_say_nothing():
    values = np.random.default_rng(0).normal(1000, 3, (500, 4)).astype("f4")
    values[:, 2] = 0.1
    made = projection.standardised(values)
    others = [0, 1, 3]
    np.testing.assert_allclose(made[:, others].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(made[:, others].std(axis=0), 1, rtol=1e-3)
    assert not made[:, 2].any()


def test_components_are_those_of_a_singular_value_decomposition():
    values, _ = blobs(features=60)
    made = projection.principal_components(values)
    assert made.shape == (120, projection.NUM_COMPONENTS)
    left, scale, _ = np.linalg.svd(projection.standardised(values), full_matrices=False)
    expected = (left * scale)[:, : projection.NUM_COMPONENTS]
    np.testing.assert_allclose(np.abs(made), np.abs(expected), atol=2e-3)


def test_components_do_not_depend_on_the_order_of_the_crops():
    values, _ = blobs()
    order = np.random.default_rng(1).permutation(len(values))
    np.testing.assert_allclose(
        projection.principal_components(values[order]),
        projection.principal_components(values)[order],
        atol=1e-3,
    )


def test_too_few_crops_are_refused():
    with pytest.raises(UserError, match=r"at least 8\. Received: 7"):
        projection.principal_components(np.zeros((7, 3), "f4"))


def test_clusters_are_the_kinds_numbered_by_size():
    values, kinds = blobs()
    np.testing.assert_array_equal(projection.cluster(values, 3, seed=0), kinds)


def test_few_crops_make_few_clusters():
    values, _ = blobs(num=9)
    clusters = projection.cluster(values, 50, seed=0)
    assert set(clusters) == set(range(max(clusters) + 1)) and max(clusters) < 4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.integers(1, 80))
def test_every_stratum_gives_its_share(strata, most):
    strata = np.array(strata)
    chosen = projection.stratified(strata, most, seed=3)
    assert len(chosen) == min(most, len(strata)) == len(set(chosen.tolist()))
    assert (np.diff(chosen) > 0).all()
    names, counts = np.unique(strata, return_counts=True)
    got = np.array([(strata[chosen] == name).sum() for name in names])
    if most >= len(names):
        assert got.min() >= 1
    share = most / len(strata)
    if share < 1:
        # One each goes before the shares.
        assert (np.abs(got - share * counts) <= len(names) + 1).all()


def test_the_map_keeps_kinds_apart_and_is_the_same_again(monkeypatch):
    pytest.importorskip("umap")
    # Some crops are fitted, some placed among them, in several portions.
    monkeypatch.setattr(projection, "MOST_FITTED", 90)
    monkeypatch.setattr(projection, "_PLACED_AT_ONCE", 20)
    values, kinds = blobs(num=150)
    told = []
    components = projection.principal_components(values)
    clusters = projection.cluster(components, 3, seed=5)
    first = projection.map_positions(components, clusters, 5, told.append)
    assert sum(told) == 150
    again = projection.map_positions(components, clusters, 5)
    np.testing.assert_array_equal(first, again)
    middles = np.stack([np.median(first[kinds == k], axis=0) for k in (0, 1, 2)])
    distances = np.linalg.norm(first[:, None] - middles, axis=-1)
    assert (distances.argmin(axis=1) == kinds).mean() > 0.97
    assert np.abs(first).max() < 3


def test_a_missing_library_is_told_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"the extra `screen`.*sklearn"):
        projection.require_libraries()
