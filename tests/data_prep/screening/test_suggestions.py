"""What is found suspicious, and that labels are not punished for being rare."""

import numpy as np
import pytest

from data_prep.screening import suggestions
from data_prep.screening.suggestions import KINDS
from tfvqgen.data.crops import Crop

pytest.importorskip("sklearn")


def crop(index, labels=("a",), group=None, **others):
    group = f"group{index // 5}" if group is None else group
    return Crop(f"crop{index}", f"images/{index}.png", tuple(labels), group, **others)


def scattered(num, seed=0, spread=1.0):
    return np.random.default_rng(seed).normal(0, spread, (num, 5)).astype("f4")


def found(crops, components, kind, clusters=None):
    if clusters is None:
        clusters = np.zeros(len(crops), int)
    made = suggestions.suggest(crops, components, clusters)
    indices = np.flatnonzero(made.kinds[:, KINDS.index(kind)]).tolist()
    return {i: made.reasons[i] for i in indices}


def test_neighbours_are_those_of_all_distances_and_never_the_crop_itself():
    values = scattered(50)
    values[7] = values[8] = values[9]
    distances, indices = suggestions.nearest(values, 4)
    all_distances = np.linalg.norm(values[:, None] - values, axis=-1)
    np.fill_diagonal(all_distances, np.inf)
    np.testing.assert_allclose(distances, np.sort(all_distances)[:, :4], atol=1e-3)
    assert not (indices == np.arange(50)[:, None]).any()


def test_the_robust_deviation_of_normal_values_is_their_deviation():
    values = np.random.default_rng(0).normal(5, 2, 20_000)
    values[:200] = 1e6
    made = suggestions.robust_deviations(values)[200:]
    np.testing.assert_allclose(made, (values[200:] - 5) / 2, atol=0.2)
    assert not suggestions.robust_deviations(np.ones(5)).any()


def test_what_the_table_does_not_accept_is_suggested_with_its_reason():
    crops = [crop(i) for i in range(20)]
    crops[4] = crop(4, accepted=False, reason="out of focus (focus 0.1 < 0.2)")
    reasons = found(crops, scattered(20), "quality")
    assert reasons == {4: "not accepted: out of focus (focus 0.1 < 0.2)"}


def test_a_quality_column_is_judged_in_its_bad_tail():
    rng = np.random.default_rng(0)
    solidity = rng.normal(0.9, 0.01, 100)
    solidity[[3, 5]] = 0.2, 2.0
    area = np.exp(rng.normal(5, 0.1, 100))
    area[[7, 9]] = 1.0, 1e5
    crops = [
        crop(i, metadata={"solidity": str(solidity[i]), "nucleus_area": str(area[i])})
        for i in range(100)
    ]
    crops[20] = crop(20, metadata={"solidity": "", "nucleus_area": "nan"})
    reasons = found(crops, scattered(100), "quality")
    assert set(reasons) == {3, 7, 9}
    assert reasons[3] == "solidity 0.2 is unusual"


def test_the_shape_of_cells_that_divide_is_not_judged():
    solidity = np.random.default_rng(0).normal(0.9, 0.01, 100)
    solidity[[3, 5]] = 0.2
    crops = [crop(i, metadata={"solidity": str(solidity[i])}) for i in range(100)]
    crops[5] = crop(5, ["a", "mitotic spindle"], metadata=crops[5].metadata)
    assert set(found(crops, scattered(100), "quality")) == {3}


def test_a_crop_far_from_all_others_is_an_outlier():
    values = scattered(100)
    values[10], values[60] = 40, -40
    places = set(found([crop(i) for i in range(100)], values, "outlier"))
    assert {10, 60} <= places and len(places) <= 4


def test_a_rare_label_is_not_an_outlier_because_it_is_rare():
    values = scattered(100)
    rare = range(80, 100)
    values[80:] = 30 + scattered(20, seed=1, spread=6)
    crops = [crop(i, ["rare"] if i in rare else ["a"]) for i in range(100)]
    assert len(set(found(crops, values, "outlier")) & set(rare)) <= 1


def test_no_label_gives_more_outliers_than_its_share():
    values = np.random.default_rng(0).standard_cauchy((300, 2)).astype("f4")
    crops = [crop(i, ["ab"[i % 2]]) for i in range(300)]
    places = list(found(crops, values, "outlier"))
    assert sum(i % 2 for i in places) <= 7 and sum(1 - i % 2 for i in places) <= 7
    assert len(places) > 8


def test_all_but_the_first_of_equal_crops_are_duplicates():
    values = scattered(40)
    values[[12, 30]] = values[5]
    reasons = found([crop(i) for i in range(40)], values, "duplicate")
    assert set(reasons) == {12, 30}
    assert reasons[12] == "almost the same as crop5"


def test_a_crop_among_other_labels_of_other_groups_is_looked_at_and_not_dropped():
    values = scattered(60)
    values[30:] += 50
    crops = [crop(i, ["a"] if i < 30 else ["b", "c"]) for i in range(60)]
    crops[40] = crop(40, ["a"])
    # Among its own group only, and so it says nothing.
    for i in (0, 1):
        crops[i] = crop(i, ["d"], group=crops[2].group)
    made = suggestions.suggest(crops, values, np.zeros(60, int))
    assert made.kinds[40, KINDS.index("other_labels")]
    assert "mostly b" in made.reasons[40]
    assert not made.drop[40]
    assert not made.kinds[41, KINDS.index("other_labels")]


def test_a_cluster_is_dropped_as_a_whole_for_its_accepted_crops():
    # Of cluster 1 nine in ten are not accepted, and nothing is wrong with the tenth.
    focus = np.random.default_rng(0).normal(0.5, 0.01, 200)
    focus[40:44] = 0.05
    crops = [
        crop(
            i,
            accepted=not 20 <= i < 38 and not 60 <= i < 80,
            metadata={"focus": str(focus[i])},
        )
        for i in range(200)
    ]
    clusters = np.repeat([0, 1, 2, 3, 4], [20, 20, 5, 35, 120])
    clusters[45:60], clusters[60:80] = 4, 3
    made = suggestions.suggest(crops, scattered(200), clusters)
    # Cluster 3 has no accepted crop: there is nothing to drop.
    assert made.clusters == {2}
