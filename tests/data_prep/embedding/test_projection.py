"""Components, clusters and map of features."""

import sys
from types import SimpleNamespace

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


def test_components_are_those_of_standardized_features():
    values, _ = blobs(features=60)
    values[:, 5] = 0.1
    made = projection.principal_components(values)
    assert made.shape == (120, projection.NUM_COMPONENTS)
    deviation = values.std(axis=0)
    deviation[5] = np.inf
    standardized = (values - values.mean(axis=0)) / deviation
    left, scale, _ = np.linalg.svd(standardized, full_matrices=False)
    expected = (left * scale)[:, : projection.NUM_COMPONENTS]
    np.testing.assert_allclose(np.abs(made), np.abs(expected), atol=2e-3)


def test_too_few_crops_are_refused():
    with pytest.raises(UserError, match=r"at least 8\. Received: 7"):
        projection.principal_components(np.zeros((7, 3), "f4"))


def test_clusters_are_the_kinds_numbered_by_size_and_no_more_than_crops_allow():
    values, kinds = blobs()
    np.testing.assert_array_equal(projection.cluster(values, 3, seed=0), kinds)
    clusters = projection.cluster(blobs(num=9)[0], 50, seed=0)
    assert set(clusters) == set(range(max(clusters) + 1)) and max(clusters) < 4


@settings(max_examples=30, deadline=None)
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


class Mapper:
    """Stands for UMAP: the first two components, and how many crops at once."""

    def __init__(self, **settings):
        self.portions = []

    def fit_transform(self, values):
        Mapper.made = self
        return self.transform(values)

    def transform(self, values):
        self.portions.append(len(values))
        return values[:, :2]


def test_crops_that_the_map_is_not_fitted_on_are_placed_in_portions(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Mapper))
    monkeypatch.setattr(projection, "require_package", lambda *names: None)
    monkeypatch.setattr(projection, "MOST_FITTED", 90)
    monkeypatch.setattr(projection, "_PLACED_AT_ONCE", 25)
    values, kinds = blobs(num=150)
    placed = []
    positions = projection.map_positions(values, kinds, 5, placed.append)
    assert Mapper.made.portions == placed == [90, 25, 25, 10]
    fitted = positions[projection.stratified(kinds, 90, 5)]
    low, high = fitted.min(axis=0), fitted.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-5)
    assert (high - low).max() == pytest.approx(2)
    moved = values[:, :2] - values[0, :2]
    found = positions - positions[0]
    scale = np.linalg.norm(found) / np.linalg.norm(moved)
    np.testing.assert_allclose(found, scale * moved, atol=1e-4)
